"""The contract of a strategy: it asks for evaluations and is told what came of them.

    class Mine(Strategy):
        name = "mine"
        class Settings(StrategySettings): ...      # pydantic; --set KEY=VALUE on the command line
        class State(BaseModel): ...                # JSON; stored with every step, so that a killed search goes on

        def ask(self, view, rng): ...              # -> the evaluations it wants next
        def tell(self, view, results): ...         # what became of them

A strategy never touches the study, the workers or the clock: it sees a `View`, and all its randomness is the `rng` of
the ask, which is derived from the ask's number. It may look at thousands of networks (`view.draft`) and ask for few.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...genotype import Genotype
from ..limits import Limits
from ..objective import Objective
from ..space.base import Proposal, Space
from ..table import Table


@dataclass(frozen=True)
class Draft:
    """A network that is not in the study yet, within the limits, unlike all that are."""

    genotype: Genotype
    move: str
    parent: int | None = None
    partner: int | None = None
    """The second parent of a crossover."""


@dataclass(frozen=True)
class Wanted:
    """An evaluation that a strategy asks for."""

    candidate: Draft | int
    """A new network, or the number of a known one that is to be scored on more repeats."""
    repeats: int
    """Scores that it is to have in all, those that it has counted."""


@dataclass(frozen=True)
class Result:
    """What became of an evaluation."""

    candidate: int
    """Its number, from now on."""
    scored: bool
    """False when it failed, took too long, or was over a limit on latency."""


class View(Protocol):
    """What a strategy sees of the search."""

    space: Space
    limits: Limits
    objectives: tuple[Objective, ...]
    table: Table
    starts: tuple[int, ...]
    """The candidates that were there at the beginning: starts, and those of a warm start."""
    room: int
    """New networks that may be asked for now, at least 1."""
    repeats: int
    """Scores for a first look."""
    max_repeats: int
    """Scores at most, where a decision is close."""

    def genotype(self, candidate: int) -> Genotype:
        """The network of a candidate."""
        ...

    def score(self, candidate: int) -> float:
        """Of the first objective: higher is better; minus infinity for one that could not be scored."""
        ...

    def scores(self) -> np.ndarray:
        """`score` of all candidates."""
        ...

    def lead(self, candidate: int, other: int) -> tuple[float, float]:
        """Mean lead of one candidate over another on the repeats that both have, and its standard error."""
        ...

    def draft(
        self, propose: Callable[[], Proposal], parent: int | None = None, partner: int | None = None
    ) -> Draft | None:
        """Calls `propose` until it gives a network that is new to the study and to this ask; None for a dead end."""
        ...


class StrategySettings(BaseModel):
    """Settings of a strategy."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoState(BaseModel):
    """Of a strategy that remembers nothing."""


class Strategy(ABC):
    """A way to search. Subclasses set the class variables and the two methods; `state` is all that they remember."""

    name: ClassVar[str]
    description: ClassVar[str]
    asynchronous: ClassVar[bool] = True
    """Whether it can be told results one by one in any order; if not, it is told all that it asked for at once."""
    objectives: ClassVar[int | None] = 1
    """How many it takes; None for any number."""
    Settings: ClassVar[type[StrategySettings]] = StrategySettings
    State: ClassVar[type[BaseModel]] = NoState

    def __init__(self, settings: Any, state: Any) -> None:
        self.settings = settings
        self.state = state

    @abstractmethod
    def ask(self, view: View, rng: Random) -> list[Wanted]:
        """The evaluations wanted next; none at all ends the search."""

    @abstractmethod
    def tell(self, view: View, results: Sequence[Result]) -> None:
        """What became of evaluations that were asked for."""
