"""Small networks that have all that a profile tells apart."""

from __future__ import annotations

import random

import uninas
from uninas.genotype import Genotype
from uninas.search import Space

SMALL = {"widths": (8, 16, 32, 32), "depths": (1, 2, 1, 1), "input_size": 32}


def small(name: str = "coatnet") -> Genotype:
    """A known network with few channels."""
    return uninas.blocks.network(name, **SMALL)


def found(seed: int) -> Genotype:
    """A network 30 moves away from a start of the small space."""
    space, rng = Space.load("uninas_tiny"), random.Random(seed)
    genotype = space.start(space.starts[seed % len(space.starts)])
    for _ in range(30):
        genotype = space.mutate(genotype, rng)
    return genotype
