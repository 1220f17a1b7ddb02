"""What moves are, and how an edit of one graph becomes a move on a whole network."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from ....genotype import Block, Genotype
from ..alphabet import Alphabet
from ..bounds import Bounds
from ..editor import GraphEditor
from ..frame import FrameChoices


class Surroundings(Protocol):
    """What moves ask of the space that they are used in."""

    @property
    def limits(self) -> Bounds: ...

    @property
    def frame(self) -> FrameChoices: ...

    def alphabet_at(self, genotype: Genotype, stage: int) -> Alphabet:
        """The operations that may be written into a stage, counted from 0."""
        ...

    def known_block(self, genotype: Genotype, stage: int, rng: Random) -> Block | None:
        """A random well-known block for a stage, or None when it does not fit there."""
        ...


Move = Callable[[Genotype, Surroundings, Random], "Genotype | None"]

GraphEdit = Callable[[GraphEditor, Alphabet, Random], bool]
"""Edits in place; False when it found no place for itself."""


def on_graph(edit: GraphEdit) -> Move:
    """The move that applies `edit` to a random graph: uniform stage, block, sub-block, as in the paper."""

    def move(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
        i = rng.randrange(len(genotype.stages))
        stage = genotype.stages[i]
        j = rng.randrange(len(stage.blocks))
        k = rng.randrange(len(stage.blocks[j].subblocks))
        before = stage.blocks[j].subblocks[k].graph
        editor = GraphEditor(before, stage.width)
        if not edit(editor, space.alphabet_at(genotype, i), rng):
            return None
        graph = editor.build()
        if not graph.ops or graph.key == before.key:
            return None
        return genotype.with_graph((i, j, k), graph)

    move.__doc__ = edit.__doc__
    return move
