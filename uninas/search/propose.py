"""One step of a walk: random moves until one gives a new, valid, affordable genotype."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from ..errors import GenotypeError, SpaceError
from ..genotype import Genotype, NetworkCost
from ..units import format_count
from .constraints import Limits
from .limits import faults
from .moves import MOVES

if TYPE_CHECKING:
    from .explore import Search
    from .space import Space


@dataclass(frozen=True)
class Proposal:
    """A child and how it came about."""

    genotype: Genotype
    move: str
    """A key of MOVES, or several joined by " + "."""
    cost: NetworkCost | None
    """At the input size of the limits; None when nothing limits the cost."""
    rejected: int
    """Valid children that were over a limit on cost, and so passed over."""


def propose(space: Space, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
    """See `Space.propose`."""
    bounds = [found for found in (limits, space.limits) if found is not None and found.given]
    refused: Counter[str] = Counter()
    for child, move in _edits(space, genotype, rng, refused):
        costs = [found.cost(child) for found in bounds]
        missed = [found.excess(cost) for found, cost in zip(bounds, costs)]
        if not all(_nearer(excess, found, genotype) for excess, found in zip(missed, bounds)):
            refused.update(name for excess in missed for name in excess)
            continue
        return Proposal(child, move, costs[0] if costs else None, sum(refused[name] for name in _names(bounds)))
    raise SpaceError(_explain(space, bounds, refused))


def several(search: Search, genotype: Genotype, count: int, rng: Random) -> Proposal:
    """`count` moves one behind the other, each within the limits of the search, as one proposal."""
    steps = []
    for _ in range(count):
        steps.append(search.space.propose(genotype, rng, search.limits))
        genotype = steps[-1].genotype
    names = " + ".join(step.move for step in steps)
    return replace(steps[-1], move=names, rejected=sum(step.rejected for step in steps))


def _edits(space: Space, genotype: Genotype, rng: Random, refused: Counter[str]):
    """Children within the space's own limits, at most `space.attempts` tries."""
    names, weights = list(space.moves), list(space.moves.values())
    for _ in range(space.attempts):
        move = rng.choices(names, weights)[0]
        try:
            child = MOVES[move](genotype, space, rng)
        except GenotypeError:  # the edit does not fit the shapes around it
            child = None
        if child is None:
            refused["no place for the move"] += 1
            continue
        broken = next(faults(space.limits, child, space.attention_indices, genotype), None)
        if broken is not None:
            refused[f"limits.{broken[1]}"] += 1
            continue
        if child.key == genotype.key:
            refused["nothing changed"] += 1
            continue
        yield child, move


def _nearer(excess: dict[str, float], limits: Limits, parent: Genotype) -> bool:
    """Whether all bounds are met, or those that the parent misses are missed by less and no other."""
    before = limits.excess(limits.cost(parent)) if excess else {}
    return all(name in before and value < before[name] for name, value in excess.items())


def _names(bounds: list[Limits]) -> set[str]:
    return {name for found in bounds for name in found.given}


def _explain(space: Space, bounds: list[Limits], refused: Counter[str]) -> str:
    reasons = ", ".join(f"{name} ({count} times)" for name, count in refused.most_common(4))
    given = ", ".join(f"{name} = {format_count(value)}" for found in bounds for name, value in found.given.items())
    where = f" under {given}" if given else ""
    return f"no neighbour found in {space.attempts} edits in space {space.name!r}{where}; in the way: {reasons}"
