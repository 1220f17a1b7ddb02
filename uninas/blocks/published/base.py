"""What the published networks share: widths and depths as given or as published, and stages behind their first unit."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import GenotypeError
from ...genotype import Block, BlockGraph, Downsample, GraphBuilder, Stage, SubBlock
from ...genotype.frame import check_whole


def chosen(given: Sequence[int] | None, published: tuple[int, ...], key: str) -> tuple[int, ...]:
    """The given numbers, one for each stage, or the published ones.

    Raises:
        GenotypeError: there are more or fewer, or one is no whole number of at least 1.
    """
    if given is None:
        return published
    if not isinstance(given, Sequence) or len(given) != len(published):
        raise GenotypeError(f"wants a value for each of {len(published)} stages, got {given!r}", key)
    for i, value in enumerate(given):
        check_whole(value, f"{key}[{i}]")
    return tuple(given)


def behind(width: int, unit: Downsample, block: Block, depth: int) -> Stage:
    """A stage of `depth` blocks, the first of which is the unit that changes width or resolution.

    A unit alone is followed by a block that does nothing, for a stage has a block.
    """
    blocks = (block,) * (depth - 1) or (Block((SubBlock(_nothing(), norm=None, residual=False),)),)
    return Stage(width, blocks, unit)


def _nothing() -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.input)
