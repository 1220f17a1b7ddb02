"""Blocks at another width than the one that they were made for."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ...blocks.library import heads_for
from ...genotype import Block, BlockGraph
from ...ops import Matmul1, Value
from .heads import with_heads


@lru_cache(maxsize=4096)  # the same object each time, so that the costs of its graphs are counted once
def resized(block: Block, before: int, after: int) -> Block:
    """A block for stages of `after` channels instead of `before`; heads of attention stay about as wide as they were.

    Raises:
        GenotypeError: an operation does not fit, such as a split into three of a width that three does not divide.
    """
    if before == after:
        return block
    graphs = {sub.graph: _resized(sub.graph, before, after) for sub in block.subblocks}
    return Block(tuple(replace(sub, graph=graphs[sub.graph]) for sub in block.subblocks))


@lru_cache(maxsize=4096)
def _resized(graph: BlockGraph, before: int, after: int) -> BlockGraph:
    values = graph.infer(before)

    def heads(node: str, op: Matmul1, value: Value) -> int:
        return heads_for(value.channels, values[graph.sources[node][0]].channels / op.heads)

    changed = with_heads(graph, after, heads)
    changed.infer(after)
    return changed
