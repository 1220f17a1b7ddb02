"""How evolving strategies make networks: newcomers for the first population, and children of one parent or two."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..space.base import Proposal
from .base import Draft, View

LONGEST_WALK = 8
"""Moves between a start and a newcomer, at most."""


def stride(view: View, candidate: int, moves: int, rng: Random) -> Draft | None:
    """A network `moves` edits away from a candidate, each within the limits; None for a dead end."""

    def propose() -> Proposal:
        genotype, steps = view.genotype(candidate), []
        for _ in range(moves):
            steps.append(view.space.neighbour(genotype, rng, view.limits))
            genotype = steps[-1].genotype
        return Proposal(genotype, " + ".join(step.move for step in steps), sum(step.refused for step in steps))

    return view.draft(propose, candidate)


def sample(view: View, rng: Random) -> Draft | None:
    """A network drawn from scratch."""
    return view.draft(lambda: Proposal(view.space.sample(rng, view.limits), "sample"))


def newcomer(view: View, rng: Random, scratch: float) -> Draft | None:
    """A network drawn from scratch, or (with probability 1 - `scratch`) a walk from what was there at the beginning."""
    if rng.random() < scratch:
        return sample(view, rng)
    return stride(view, rng.choice(view.starts), rng.randint(1, LONGEST_WALK), rng)


def child(view: View, mother: int, father: int, rng: Random, crossover: float, strides: Sequence[int]) -> Draft | None:
    """A crossing of both (with probability `crossover`, if they are two), or some edits of the mother."""
    if mother != father and rng.random() < crossover:
        pair = view.genotype(mother), view.genotype(father)
        crossed = view.draft(lambda: view.space.cross(*pair, rng, view.limits), mother, father)
        if crossed is not None:
            return crossed
    return stride(view, mother, rng.choice(strides), rng)
