"""What a search is asked to do. The command line makes its options from this class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .. import __version__, resources
from ..device import usable
from ..errors import SpaceError, StudyError, nearest
from ..units import parse_bytes, parse_seconds
from .limits import Count, InputSize, Latency, Limits

if TYPE_CHECKING:
    from .executors.base import Allowance
    from .latency import MeasuringScorer
    from .objective import Objective
    from .space.base import Space
    from .strategies import Strategy

NOT_PART_OF_THE_RESULT = frozenset(
    {"out", "workers", "timeout", "memory", "ray", "gpus_per_worker", "warm_start", "resume", "force"}
)
"""Settings that may differ when a study is continued, and are not kept in it."""
MAY_GROW = frozenset({"iterations", "leaders", "leader_repeats", "fresh_repeats", "tidy"})
"""Settings of how long a search goes on and how it ends: they may differ too, and the study keeps the last ones."""


def _names(value: Any) -> Any:
    """`coatnet,resnet` as a list."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _known_strategy(name: str) -> str:
    from .strategies import STRATEGIES

    if name not in STRATEGIES:
        raise ValueError(f"there is no strategy {name!r}; {nearest(name, STRATEGIES)}")
    return name


def _parsed(parse: Any) -> BeforeValidator:
    """Text as a number with a unit."""
    return BeforeValidator(resources.validated(lambda value: parse(value) if isinstance(value, str) else value))


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Seconds = Annotated[float, _parsed(parse_seconds), Field(gt=0)]
Bytes = Annotated[int, _parsed(parse_bytes), Field(gt=0)]


class SearchConfig(BaseModel):
    """Settings of `search`. Sizes may be written 30M, 4.5G, 20ms@1x224, 5m, 8GB.

    Use `SearchConfig.parse(dict)` for errors as UninasError; the constructor raises pydantic's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    out: Path
    """Folder of the study, created if need be."""
    space: str = "uninas"
    """Search space: a name in spaces/, or a file."""
    start: Names = ()
    """Where to begin: starts of the space or genotype files, separated by commas; without, all starts of the space."""
    warm_start: Path | None = None
    """Folder of another study whose evaluated networks are taken over with their scores."""
    strategy: Annotated[str, AfterValidator(_known_strategy)] = "walk"
    """How to search: evolution, walk, random (the baseline) or pareto (several objectives)."""
    strategy_settings: dict[str, Any] = {}
    """Settings of the strategy, such as population=64."""
    proxy: str | None = None
    """Training-free scores by name. One guides the search: a proxy, an aggregate (learning_agg, vkdnw_agg, ...), or
    "logrank(macs, jacov, ...)". Default: the space's, learning_agg in most."""
    objectives: str | None = None
    """Several, in place of --proxy, for --strategy pareto: "vkdnw_agg,-params,-latency"; a minus minimises."""
    iterations: int = Field(96, ge=1)
    """Networks to evaluate, excluding the starts."""
    seed: int = Field(0, ge=0)
    """The same seed gives the same result."""

    max_params: Count | None = None
    """Most parameters, such as 30M. Without a least, the space's size_band of it is the least."""
    min_params: Count | None = None
    """Fewest parameters; 0 for no least."""
    max_macs: Count | None = None
    """Most multiply-adds, such as 5G."""
    min_macs: Count | None = None
    """Fewest multiply-adds; 0 for no least."""
    max_latency: Latency | None = None
    """Longest median forward pass on this device, such as 20ms@1x224 for one image of 224 x 224; measured."""
    min_latency: Latency | None = None
    """Shortest median forward pass."""
    input_size: InputSize | None = None
    """Image side, or HEIGHTxWIDTH, in pixels. Multiply-adds are counted for it. Default: the space's, 224 in most."""
    num_classes: Annotated[int, Field(ge=1)] | None = None
    """Classes of the head. It is counted with the network. Default: the space's, 1000 in most."""

    proxy_size: InputSize = 32
    """Side of the noise images of a score, in pixels."""
    proxy_batch: int = Field(16, ge=1)
    """Noise images of a score. With the classes it bounds the rank of VKDNW's Fisher matrix: batch x (classes - 1)."""
    proxy_classes: int = Field(10, ge=2)
    """Classes of scored networks."""

    repeats: int = Field(1, ge=1)
    """Initialisations with which every candidate is scored first."""
    max_repeats: int = Field(4, ge=1)
    """Initialisations up to which scores are repeated where a decision is close; starts get all of them."""
    leaders: int = Field(4, ge=1)
    """Candidates that compete on new seeds at the end."""
    leader_repeats: int = Field(4, ge=2)
    """Initialisations of that competition."""
    fresh_repeats: int = Field(5, ge=2)
    """Initialisations, never used before, with which the winner and the start are scored at last."""
    generation: int = Field(8, ge=1)
    """Candidates that are proposed together, where results are told together."""
    asynchronous: bool = False
    """Tell every result when it comes and ask for more at once: no worker waits, but how results interleave decides."""
    tidy: bool = True
    """Take out of the winner what changes neither what it computes nor its score."""

    device: Annotated[str, AfterValidator(resources.validated(usable))] = "cpu"
    """What computes: cpu, cuda, cuda:1."""
    workers: int = Field(2, ge=1)
    """Processes that work at once. Each scores with one thread; with --ray, they are actors."""
    timeout: Seconds | None = None
    """Longest time for a score, such as 90s or 5m; then its worker is ended, and the score tried once more."""
    memory: Bytes | None = None
    """Most memory for a score, such as 8GB."""
    ray: str | None = None
    """Score on a Ray cluster: its address, auto for the one this machine is in, local for one of its own."""
    gpus_per_worker: float = Field(0, ge=0)
    """GPUs (or a share of one) that Ray gives each worker."""
    resume: bool = False
    """Continue the study in --out; --iterations may be raised."""
    force: bool = False
    """Replace what is there."""

    @model_validator(mode="after")
    def _check(self) -> SearchConfig:
        from .strategies import STRATEGIES

        if self.max_repeats < self.repeats:
            raise ValueError(f"max_repeats: {self.max_repeats} is below repeats = {self.repeats}")
        if self.resume and self.force:
            raise ValueError("resume and force exclude each other: one continues a study, the other replaces it")
        kind = STRATEGIES[self.strategy]
        count = 1 if self.objectives is None and self.proxy is None else len(self.objectives_of)
        if kind.objectives is not None and count != kind.objectives:
            raise ValueError(f"objectives: {self.strategy} takes {kind.objectives}, got {count}; use --strategy pareto")
        if self.asynchronous and not kind.asynchronous:
            others = ", ".join(name for name, other in STRATEGIES.items() if other.asynchronous)
            raise ValueError(f"asynchronous: {self.strategy} decides on whole generations; use one of {others}")
        if self.gpus_per_worker and self.ray is None:
            raise ValueError("gpus_per_worker: is for --ray; without it, all workers share --device")
        return self

    @classmethod
    def parse(cls, data: dict[str, Any]) -> SearchConfig:
        """Settings from plain data.

        Raises:
            StudyError: a setting is unknown or not valid; a line for each.
            SpaceError: the limits exclude each other.
            ProxyError: an objective is not known.
        """
        config = resources.parse(data, cls, StudyError)
        _ = config.limits, config.make_strategy()
        return config

    @property
    def limits(self) -> Limits:
        """The limits as they were given. Raises SpaceError when they exclude each other."""
        given = {name: getattr(self, name) for name in Limits.model_fields}
        return resources.parse({name: value for name, value in given.items() if value is not None}, Limits, SpaceError)

    def resolved(self, space: Space) -> SearchConfig:
        """The same settings, with the space's own image size, classes and proxy where none were given."""
        own = {name: getattr(space.limits, name) for name in ("input_size", "num_classes")} | {"proxy": space.proxy}
        return self.model_copy(update={name: value for name, value in own.items() if getattr(self, name) is None})

    def limits_in(self, space: Space) -> Limits:
        """The limits, with the space's size band where only the most is given and no objective minimises a cost."""
        config = self.resolved(space)
        limits = config.limits
        for what in ("params", "macs"):
            most = getattr(space.limits, f"max_{what}")
            if getattr(limits, f"max_{what}") is None and most is not None:
                limits = limits.model_copy(update={f"max_{what}": most})
        minimised = any(o.signs == (-1,) and o.metrics[0] in ("params", "macs") for o in config.objectives_of)
        return limits if minimised else limits.banded(space.size_band)

    @property
    def latency_shape(self) -> str:
        """The input of which `latency` is measured: that of the limits, or one image."""
        from .objective import DEFAULT_LATENCY

        bound = self.max_latency or self.min_latency
        return bound.shape if bound else DEFAULT_LATENCY

    @property
    def objectives_of(self) -> tuple[Objective, ...]:
        """What the search maximises, the first one first.

        Raises:
            ProxyError: one is not understood.
            StudyError: the settings name none; those that are `resolved` do.
        """
        from .objective import Objective, parse_objectives

        if self.objectives is not None:
            return parse_objectives(self.objectives, self.latency_shape)
        if self.proxy is None:
            raise StudyError("the settings name no proxy: SearchConfig.resolved takes the one of the space")
        return (Objective.parse(self.proxy, self.latency_shape),)

    def make_strategy(self, state: dict[str, Any] | None = None) -> Strategy:
        """The strategy with its settings, and the state that it was stored with. Raises StudyError."""
        from .strategies import STRATEGIES

        kind = STRATEGIES[self.strategy]
        try:
            settings = resources.parse(self.strategy_settings, kind.Settings, StudyError)
        except StudyError as error:
            raise StudyError(f"strategy_settings: {error}") from None
        return kind(settings, kind.State.model_validate(state or {}))

    @property
    def scorer(self) -> MeasuringScorer:
        """How candidates are scored."""
        from .latency import MeasuringScorer

        size = self.proxy_size
        height, width = (size, size) if isinstance(size, int) else size
        classes = self.limits.num_classes
        return MeasuringScorer((height, width), self.proxy_batch, self.proxy_classes, self.seed, self.device, classes)

    @property
    def allowance(self) -> Allowance:
        """What a score may use."""
        from .executors.base import Allowance

        return Allowance(self.timeout, self.memory)

    def fingerprint(self, space: Space, starts: dict[str, str]) -> dict[str, Any]:
        """All that decides the result, as JSON data: two runs with equal fingerprints give equal studies.

        Args:
            starts: keys of the starts by name.
        """
        import torch

        from ..proxies import AGGREGATES, written

        settings = self.model_dump(mode="json", exclude=set(NOT_PART_OF_THE_RESULT))
        settings["device"] = torch.device(self.device).type  # which one of a kind does not matter
        settings["strategy_settings"] = self.make_strategy().settings.model_dump(mode="json")
        versions = {"uninas": __version__, "torch": torch.__version__}
        named = [AGGREGATES[o.name] for o in self.objectives_of if o.name in AGGREGATES]
        settings["aggregates"] = {found.name: written(found.scale, found.members) for found in named}
        return {**settings, "start": starts, "space": space.fingerprint(), "versions": versions}
