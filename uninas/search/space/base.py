"""What every search space offers, whatever its networks are made of.

space = Space.load("uninas")                # a file of `spaces/`, or a path
g = space.start("coatnet")                  # a network that a search may begin at
child = space.neighbour(g, random.Random(0))  # a Proposal: one random edit away, within the limits
other = space.sample(random.Random(1))      # drawn from scratch, near no start
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ...genotype import Genotype
from ..limits import Limits


@dataclass(frozen=True)
class Proposal:
    """A new genotype and how it came about."""

    genotype: Genotype
    move: str
    """What was done: a move's name, several joined by " + ", "sample" or "cross"."""
    refused: int = 0
    """Valid networks that were passed over on the way because they broke a limit on cost."""


class Space(ABC):
    """A search space: what its networks are, and how to get from one to another. Reads only; keeps no state.

    All random choices come from the `rng` given. Every genotype that a method gives is inside the space.
    """

    name: str
    limits: Limits
    """Bounds on cost that the space itself sets, beside those of a user."""
    size_band: float | None
    """The least of a cost against the most, where a user gives only the most: 0.85 of `max_params`. None: no least."""
    proxy: str
    """What guides a search of the space unless its user names another: the score that ranks such networks best."""

    @staticmethod
    def load(name: str | Path) -> Space:
        """Reads a space by name or path.

        Raises:
            SpaceError: there is no such space, or the file is not valid; the message has the file, the path of the
                key, and valid choices.
        """
        from .files import load

        return load(name)

    @staticmethod
    def from_dict(data: object) -> Space:
        """A space from plain data in the layout of the file. Raises SpaceError."""
        from .files import from_dict

        return from_dict(data)

    @property
    @abstractmethod
    def starts(self) -> Sequence[str]:
        """Names of the starting points, in the order of the file."""

    @abstractmethod
    def start(self, name: str) -> Genotype:
        """A starting point. Raises SpaceError."""

    @abstractmethod
    def check(self, genotype: Genotype, what: str = "the genotype") -> None:
        """Raises SpaceError, naming the setting, unless `genotype` is inside the space."""

    @abstractmethod
    def neighbour(self, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
        """A genotype one random edit away, with another key.

        What `genotype` breaks of the limits, the child may break by less; it never breaks more.

        Raises:
            SpaceError: nothing was found; the message says what stood in the way.
        """

    @abstractmethod
    def sample(self, rng: Random, limits: Limits | None = None) -> Genotype:
        """A genotype drawn from scratch over the whole space, near no start, within the limits. Raises SpaceError."""

    @abstractmethod
    def cross(self, mother: Genotype, father: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
        """A child with parts of both, within the limits, whose key is neither's. Raises SpaceError."""

    @abstractmethod
    def repair(self, genotype: Genotype, limits: Limits, rng: Random) -> Genotype:
        """The genotype itself if it meets the limits, else one near it that does. Raises SpaceError."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What the specification says of networks, as JSON data: equal for spaces with equal networks and moves.

        `proxy` is left out: it is among the settings of a search.
        """

    def mutate(self, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Genotype:
        """The genotype of `neighbour`."""
        return self.neighbour(genotype, rng, limits).genotype
