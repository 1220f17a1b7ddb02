"""Which stages, blocks and sub-blocks of two networks are the same, by what they consist of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

from ..genotype import Block, Stage, SubBlock

Part = TypeVar("Part", SubBlock, Block, Stage)
GAP = 0.55
"""Cost of a part that is only on one side, where that of two that have nothing in common is 1: changed comes before one
removed and one added."""


def align(first: Sequence[Part], second: Sequence[Part]) -> Iterator[tuple[int | None, int | None]]:
    """Pairs of positions in order, with None where an item of one sequence has no partner in the other.

    Equal items at the beginning and at the end are partners. Between them the alignment has the smallest sum of costs
    (Needleman and Wunsch, 1970): the share of their contents that two partners do not have in common, GAP for an item
    without a partner.
    """
    shorter = min(len(first), len(second))
    start = next((i for i in range(shorter) if not _same(first[i], second[i])), shorter)
    rest = shorter - start
    end = next((i for i in range(rest) if not _same(first[-1 - i], second[-1 - i])), rest)
    if len(first) == len(second) == start + end + 1:  # one item differs: it was changed
        yield from ((i, i) for i in range(len(first)))
        return
    left, right = (list(map(_content, items[start : len(items) - end])) for items in (first, second))
    cost = [[0.0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left), -1, -1):
        for j in range(len(right), -1, -1):
            options = []
            if i < len(left) and j < len(right):
                options.append(_distance(left[i], right[j]) + cost[i + 1][j + 1])
            if i < len(left):
                options.append(GAP + cost[i + 1][j])
            if j < len(right):
                options.append(GAP + cost[i][j + 1])
            cost[i][j] = min(options, default=0.0)
    yield from ((i, i) for i in range(start))
    i = j = 0
    while i < len(left) or j < len(right):
        here = cost[i][j]
        if i < len(left) and j < len(right) and here == _distance(left[i], right[j]) + cost[i + 1][j + 1]:
            yield start + i, start + j
            i, j = i + 1, j + 1
        elif i < len(left) and here == GAP + cost[i + 1][j]:
            yield start + i, None
            i += 1
        else:
            yield None, start + j
            j += 1
    yield from ((len(first) - 1 - i, len(second) - 1 - i) for i in reversed(range(end)))


def _same(a: Part, b: Part) -> bool:
    return a is b or _signature(a) == _signature(b)


def _signature(part: SubBlock | Block | Stage) -> list:
    """What decides equality of a sub-block, a block or a stage."""
    if isinstance(part, SubBlock):
        return part.signature
    if isinstance(part, Block):
        return [sub.signature for sub in part.subblocks]
    return [part.width, part.downsample, [_signature(block) for block in part.blocks]]


def _distance(a: Counter, b: Counter) -> float:
    """Share of two contents that they do not have in common; a little for what only stands in another order."""
    if a == b:
        return 0.0
    return 1 - (a & b).total() / max((a | b).total(), 1)


def _content(part: SubBlock | Block | Stage) -> Counter:
    """Its operations, and what else it consists of; keys of graphs too, so that equal ones are nearer than others."""
    if isinstance(part, SubBlock):
        return Counter([*part.graph.ops.values(), ("frame", part.norm, part.residual, part.activation), part.graph.key])
    if isinstance(part, Block):
        return sum(map(_content, part.subblocks), Counter())
    return sum(map(_content, part.blocks), Counter([("width", part.width), ("downsample", part.downsample)]))
