"""Networks that break a limit on cost are made smaller (or larger), a move at a time."""

from __future__ import annotations

from random import Random

from ...errors import SpaceError
from ...genotype import Genotype
from ..limits import Limits
from .moves import Surroundings
from .neighbourhood import neighbour
from .specification import GraphSpecification

GENTLE = ("change_width", "copy_block", "remove_block", "change_ratio")
"""Moves that change the cost much and the kind of network little: tried before all others."""


def repair(
    specification: GraphSpecification, space: Surroundings, genotype: Genotype, limits: Limits, rng: Random
) -> Genotype:
    """The genotype itself if it meets the limits, else one that does, some moves away.

    Every move brings each broken limit nearer and breaks no other.

    Raises:
        SpaceError: no such moves are found; the message has the limit and the nearest network's cost.
    """
    gentle = {name: weight for name, weight in specification.moves.items() if name in GENTLE and weight > 0}
    stages = [specification.model_copy(update={"moves": gentle, "attempts": 100})] if gentle else []
    while missed := _missed(specification, limits, genotype):
        for stage in (*stages, specification):
            try:
                genotype = neighbour(stage, space, genotype, rng, limits).genotype
                break
            except SpaceError:
                continue
        else:
            raise SpaceError(
                f"{missed}; no network of space {specification.name!r} that meets this was found near the start: "
                "change the limit, or begin at another start"
            )
    return genotype


def _missed(specification: GraphSpecification, limits: Limits, genotype: Genotype) -> str | None:
    """The first limit that is not met, in words."""
    for bounds in (limits, specification.limits):
        cost = bounds.cost(genotype)
        for name in bounds.excess(cost):
            return bounds.describe(name, cost)
    return None
