"""What moves are, and how an edit of one graph becomes a move on a whole network."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from ...genotype import Genotype
from ..alphabet import Alphabet
from ..sketch import Sketch

if TYPE_CHECKING:
    from ..space import Space

Move = Callable[[Genotype, "Space", Random], "Genotype | None"]

GraphEdit = Callable[[Sketch, Alphabet, Random], bool]
"""Edits a sketch in place; False when it found no place for itself."""


def on_graph(edit: GraphEdit) -> Move:
    """The move that applies `edit` to a random graph: uniform stage, block, sub-block, as in the paper."""

    def move(genotype: Genotype, space: Space, rng: Random) -> Genotype | None:
        i = rng.randrange(len(genotype.stages))
        stage = genotype.stages[i]
        j = rng.randrange(len(stage.blocks))
        k = rng.randrange(len(stage.blocks[j].subblocks))
        before = stage.blocks[j].subblocks[k].graph
        sketch = Sketch(before, stage.width)
        if not edit(sketch, space.alphabet_at(genotype, i), rng):
            return None
        graph = sketch.build()
        if not graph.ops or graph.key == before.key:
            return None
        return genotype.with_graph((i, j, k), graph)

    move.__doc__ = edit.__doc__
    return move
