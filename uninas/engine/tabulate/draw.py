"""Which networks a table holds: the n-th depends on nothing but the seed and n, so that a table can grow.

Networks come in bands: narrow in parameters and in multiply-adds, so that size alone does not explain what is learnt.
In each band, half of them are drawn from scratch; the others are walks of 0 to 24 random moves from the starts of the
space in turn, each brought into the band first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from ...errors import SpaceError
from ...genotype import Genotype
from ...search.limits import Limits
from ...search.scoring import derived_seed
from ...search.space import Space

NARROW = 0.85
"""Least parameters of a band against its most."""
MACS = (0.8, 1.2)
"""Multiply-adds of a band against the median of networks drawn by parameters alone."""
PILOTS = 21
"""Networks drawn for that median."""
LONGEST_WALK = 24
ATTEMPTS = 20


@dataclass(frozen=True)
class Drawn:
    """A network of a table and where it came from."""

    genotype: Genotype
    family: str
    """The start it came from, or "sample"."""
    how: str
    """"sample", or the moves of the walk in order."""
    band: int


def bands(space: Space, sizes: Sequence[int], seed: int) -> list[Limits]:
    """Bounds on parameters and MACs, one pair for each size, as the space counts them.

    Raises:
        SpaceError: the space has no networks of a size.
    """
    found = []
    for size in sizes:
        rng = Random(derived_seed(seed, "band", size))
        narrow = space.limits.model_copy(update={"min_params": round(NARROW * size), "max_params": size})
        middle = median(narrow.cost(space.sample(rng, narrow)).macs for _ in range(PILOTS))
        macs = {"min_macs": round(MACS[0] * middle), "max_macs": round(MACS[1] * middle)}
        found.append(narrow.model_copy(update=macs))
    return found


def draw(space: Space, limits: Sequence[Limits], seed: int, number: int, again: int = 0) -> Drawn:
    """The n-th network, or another in its place for `again` above 0. Raises SpaceError when nothing was found."""
    band, turn = number % len(limits), number // len(limits)
    problem: SpaceError | None = None
    for attempt in range(ATTEMPTS):
        rng = Random(derived_seed(seed, "network", number, again, attempt))
        try:
            if turn % 2 == 0:
                return Drawn(space.sample(rng, limits[band]), "sample", "sample", band)
            start = space.starts[(turn // 2 + attempt) % len(space.starts)]
            return _walk(space, start, limits[band], band, rng)
        except SpaceError as error:
            problem = error
    raise SpaceError(f"network {number}: nothing found in {ATTEMPTS} attempts; the last one: {problem}")


def _walk(space: Space, start: str, limits: Limits, band: int, rng: Random) -> Drawn:
    genotype, moves = space.repair(space.start(start), limits, rng), []
    for _ in range(rng.randint(0, LONGEST_WALK)):
        step = space.neighbour(genotype, rng, limits)
        genotype = step.genotype
        moves.append(step.move)
    return Drawn(genotype, start, " + ".join(moves) or "start", band)
