"""A start that breaks a limit on cost is made smaller (or larger) before the search begins."""

from __future__ import annotations

from random import Random

from ..errors import SpaceError
from ..genotype import Genotype
from .constraints import Limits
from .space import Space

GENTLE = ("change_width", "copy_block", "remove_block", "change_ratio")
"""Moves that change the cost much and the kind of network little: tried before all others."""


def fit(space: Space, genotype: Genotype, limits: Limits, rng: Random) -> Genotype:
    """The genotype itself if it meets the limits, else one that does, some moves away.

    Every move brings each broken limit nearer and breaks no other.

    Raises:
        SpaceError: no such moves are found; the message has the limit and the nearest network's cost.
    """
    gentle = {name: weight for name, weight in space.moves.items() if name in GENTLE and weight > 0}
    spaces = [space.model_copy(update={"moves": gentle, "attempts": 100}), space] if gentle else [space]
    while missed := _missed(space, limits, genotype):
        for stage in spaces:
            try:
                genotype = stage.propose(genotype, rng, limits).genotype
                break
            except SpaceError:
                continue
        else:
            raise SpaceError(
                f"{missed}; no network of space {space.name!r} that meets this was found near the start: "
                "change the limit, or begin at another start"
            )
    return genotype


def _missed(space: Space, limits: Limits, genotype: Genotype) -> str | None:
    """The first limit that is not met, in words."""
    for bounds in (limits, space.limits):
        cost = bounds.cost(genotype)
        for name in bounds.excess(cost):
            return bounds.describe(name, cost)
    return None
