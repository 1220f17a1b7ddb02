"""What a race is asked to do. The command line makes its options from this class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ... import resources
from ...errors import StudyError
from ...units import parse_bytes, parse_seconds

if TYPE_CHECKING:
    from ...search.executors.base import Allowance


def _parsed(parse: Any) -> BeforeValidator:
    return BeforeValidator(resources.validated(lambda value: parse(value) if isinstance(value, str) else value))


def _epochs(value: Any) -> Any:
    """`1,3,9` as numbers."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class RaceConfig(BaseModel):
    """Settings of `race`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    studies: tuple[Path, ...] = Field(min_length=1)
    """Folders of searches. Several bring an equal share of the networks each."""
    protocol: str
    """Training protocol: a name of `uninas protocol list`, or a file."""
    data_root: Path
    """Folder of the data that the protocol names."""
    top: int = Field(16, ge=2)
    """Networks that begin: the best by score, and beside them the starts of each study."""
    per_lineage: int | None = Field(None, ge=1)
    """Of these, how many may be of one lineage: made by moves from one network. Default: a quarter."""
    rungs: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_epochs), Field(min_length=1)] = (1, 3, 9)
    """Epochs of each round, such as 1,3,9. Of n networks, n x (epochs of this round / of the next) go on."""
    repeats: int = Field(3, ge=1)
    """Trainings of a network in a round, at most: those near the line between staying and leaving are trained again."""
    changes: dict[str, Any] = {}
    """Changes of the protocol, nested like its file."""
    seed: int = Field(0, ge=0)
    """The same seed gives the same result. It is that of a network's first training; repeats have the next ones."""

    workers: int = Field(2, ge=1)
    """Processes that work at once. Each trains with one thread; with --ray, they are actors."""
    timeout: Annotated[float, _parsed(parse_seconds), Field(gt=0)] | None = None
    """Longest time for a training, such as 2h; then it is tried once more, and the network is out of this race."""
    memory: Annotated[int, _parsed(parse_bytes), Field(gt=0)] | None = None
    """Most memory for a training, such as 8GB."""
    ray: str | None = None
    """Train on a Ray cluster: its address, auto for the one this machine is in, local for one of its own."""
    gpus_per_worker: float = Field(0, ge=0)
    """GPUs (or a share of one) that Ray gives each worker."""

    @model_validator(mode="after")
    def _check(self) -> RaceConfig:
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs: every round is longer than the one before, got {','.join(map(str, self.rungs))}")
        if self.gpus_per_worker and self.ray is None:
            raise ValueError("gpus_per_worker: is for --ray")
        if len({path.resolve() for path in self.studies}) < len(self.studies):
            raise ValueError("studies: one is named twice")
        return self

    @classmethod
    def parse(cls, data: dict[str, Any]) -> RaceConfig:
        """Settings from plain data. Raises StudyError, with a line for each that is unknown or not valid."""
        return resources.parse(data, cls, StudyError)

    @property
    def allowance(self) -> Allowance:
        """What a training may use."""
        from ...search.executors.base import Allowance

        return Allowance(self.timeout, self.memory)

    def survivors(self, rung: int, runners: int) -> int:
        """How many of the runners of a round go on to the next; 1 after the last."""
        if rung + 1 == len(self.rungs):
            return 1
        return max(2, min(runners, -(-runners * self.rungs[rung] // self.rungs[rung + 1])))
