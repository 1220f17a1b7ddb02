"""What a tabulation is asked to do. The command line makes its options from this class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ... import resources
from ...errors import StudyError
from ...units import parse_bytes, parse_count, parse_seconds

if TYPE_CHECKING:
    from ...search.executors.base import Allowance


def _parsed(parse: Any) -> BeforeValidator:
    return BeforeValidator(resources.validated(lambda value: parse(value) if isinstance(value, str) else value))


def _counts(value: Any) -> Any:
    """`300K,600K` as numbers."""
    return tuple(parse_count(part) for part in value.split(",")) if isinstance(value, str) else value


class TabulateConfig(BaseModel):
    """Settings of `tabulate`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    out: Path
    """Folder of the table, created if need be."""
    space: str = "uninas_tiny"
    """Search space: a name in spaces/, or a file."""
    count: int = Field(300, ge=1)
    """Networks that are trained."""
    protocol: str = "tiny_fashion"
    """Training protocol: a name of `uninas protocol list`, or a file. Its name is the task of the rows."""
    data_root: Path
    """Folder of the data that the protocol names."""
    seeds: int = Field(3, ge=1)
    """Trainings of each of the networks that are trained repeatedly."""
    repeated: int = Field(60, ge=0)
    """Networks that are trained with all seeds: how two trainings of a network differ bounds what a score can say."""
    sizes: Annotated[tuple[int, ...], BeforeValidator(resources.validated(_counts)), Field(min_length=1)] = (
        300_000,
        600_000,
        1_200_000,
    )
    """Most parameters of each band, such as 300K,600K,1.2M; networks are drawn between .85 of it and it."""
    seed: int = Field(0, ge=0)
    """The same seed gives the same result. It draws the networks; trainings have the seeds 0, 1, 2."""

    workers: int = Field(2, ge=1)
    """Processes that work at once. Each trains with one thread; with --ray, they are actors."""
    timeout: Annotated[float, _parsed(parse_seconds), Field(gt=0)] | None = None
    """Longest time for a training, such as 10m; it is tried once more, and again by the next --resume."""
    memory: Annotated[int, _parsed(parse_bytes), Field(gt=0)] | None = None
    """Most memory for a training, such as 8GB."""
    ray: str | None = None
    """Train on a Ray cluster: its address, auto for the one this machine is in, local for one of its own."""
    gpus_per_worker: float = Field(0, ge=0)
    """GPUs (or a share of one) that Ray gives each worker."""
    resume: bool = False
    """Continue the table in --out; --count and --repeated may be raised, another --protocol adds a task."""

    @model_validator(mode="after")
    def _check(self) -> TabulateConfig:
        if self.gpus_per_worker and self.ray is None:
            raise ValueError("gpus_per_worker: is for --ray")
        return self

    @classmethod
    def parse(cls, data: dict[str, Any]) -> TabulateConfig:
        """Settings from plain data. Raises StudyError, with a line for each that is unknown or not valid."""
        return resources.parse(data, cls, StudyError)

    @property
    def allowance(self) -> Allowance:
        """What a training may use."""
        from ...search.executors.base import Allowance

        return Allowance(self.timeout, self.memory)

    @property
    def drawing(self) -> dict[str, Any]:
        """All that decides which networks are drawn; `count` only decides how many of them."""
        return {"space": self.space, "sizes": list(self.sizes), "seed": self.seed}
