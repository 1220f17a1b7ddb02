"""What a search is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from .. import resources
from ..device import usable
from ..errors import SpaceError, StudyError
from .constraints import Count, InputSize, Limits
from .scoring import Scorer
from .space import Space

NOT_PART_OF_THE_RESULT = frozenset({"out", "threads", "resume", "force"})
"""Settings that may differ when a study is continued."""


class SearchConfig(BaseModel):
    """Settings of `search`. Sizes may be written 30M, 4.5G.

    Use `SearchConfig.parse(dict)` for errors as UninasError; the constructor raises pydantic's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: Path
    """The study's folder; created if need be."""
    space: str = "uninas"
    """A name in `spaces/` or a path."""
    start: str = "coatnet"
    """A start of the space, or a path to a genotype file."""
    strategy: Literal["walk", "random"] = "walk"
    proxy: str = "vkdnw"
    """A name of `uninas.proxies.available()`."""
    iterations: int = Field(200, ge=1)
    """Candidates to evaluate, beside the start."""
    seed: int = 0

    max_params: Count | None = None
    min_params: Count | None = None
    max_macs: Count | None = None
    min_macs: Count | None = None
    input_size: InputSize = 224
    """Image side in pixels, or height and width, for which MACs are counted."""
    num_classes: int = Field(1000, ge=1)
    """Classes of the head that is counted with the network."""

    proxy_size: InputSize = 48
    """Image side in pixels, or height and width, on which candidates are scored."""
    proxy_batch: int = Field(8, ge=1)
    """Noise images of a score."""
    proxy_classes: int = Field(10, ge=2)
    """Classes of the scored networks."""

    repeats: int = Field(1, ge=1)
    """Initialisations with which every candidate is scored first."""
    max_repeats: int = Field(4, ge=1)
    """Initialisations up to which scores are repeated where a decision is close."""
    leaders: int = Field(4, ge=1)
    """Candidates that compete on new seeds at the end."""
    leader_repeats: int = Field(4, ge=2)
    """Initialisations of that competition."""
    fresh_repeats: int = Field(10, ge=2)
    """Initialisations, never used before, with which the winner and the start are scored at last."""
    generation: int = Field(8, ge=1)
    """Candidates that are proposed together."""
    acceptance: Literal["better", "significant", "always"] = "better"
    """walk: move on to the best of a generation if its mean is higher, higher by more than the error, or always."""
    steps: int = Field(30, ge=1)
    """random: the longest walk, in moves."""

    device: Annotated[str, AfterValidator(resources.validated(usable))] = "cpu"
    """What scores, as torch calls it: cpu, cuda, cuda:1."""
    threads: int = Field(2, ge=1)
    """Worker processes, each of which scores with one thread."""
    resume: bool = False
    """Continue a study that was interrupted."""
    force: bool = False
    """Replace a study that is in the folder."""

    @model_validator(mode="after")
    def _check(self) -> SearchConfig:
        if self.max_repeats < self.repeats:
            raise ValueError(f"max_repeats: {self.max_repeats} is below repeats = {self.repeats}")
        if self.resume and self.force:
            raise ValueError("resume and force exclude each other: one continues a study, the other replaces it")
        return self

    @classmethod
    def parse(cls, data: dict[str, Any]) -> SearchConfig:
        """Settings from plain data.

        Raises:
            StudyError: a setting is unknown or not valid; a line for each.
            SpaceError: the limits exclude each other.
        """
        config = resources.parse(data, cls, StudyError)
        _ = config.limits
        return config

    @property
    def limits(self) -> Limits:
        """The limits on cost. Raises SpaceError when they exclude each other."""
        names = ("max_params", "min_params", "max_macs", "min_macs", "input_size", "num_classes")
        return resources.parse({name: getattr(self, name) for name in names}, Limits, SpaceError)

    @property
    def scorer(self) -> Scorer:
        """How candidates are scored."""
        size = self.proxy_size
        height, width = (size, size) if isinstance(size, int) else size
        return Scorer(self.proxy, (height, width), self.proxy_batch, self.proxy_classes, self.seed, self.device)

    def fingerprint(self, space: Space, start_key: str) -> dict[str, Any]:
        """All that decides the result, as JSON data: two runs with equal fingerprints give equal studies."""
        settings = self.model_dump(mode="json", exclude=set(NOT_PART_OF_THE_RESULT))
        settings["device"] = torch.device(self.device).type  # which one of a kind does not matter
        return {**settings, "space": space.model_dump(mode="json"), "start": start_key}
