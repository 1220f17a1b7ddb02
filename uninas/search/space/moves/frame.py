"""Moves on what surrounds the graphs: stem, downsampling and head, and the frame of a sub-block.

What they choose from is the space's `frame`. That attention and stages keep a residual is checked for all moves alike
(`uninas.search.space.bounds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from ....genotype import Block, Downsample, Genotype, Stem, SubBlock
from .base import Surroundings

T = TypeVar("T")

STEM_MULTIPLE = 8
"""Of the widths inside the stem."""


def change_stem(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Makes the stem wider or narrower; the convolutions inside it keep their share of its width."""
    stem = genotype.stem
    width = _other(space.frame.stem_widths, stem.width, rng)
    if width is None:
        return None

    def scaled(inner: int) -> int:
        return max(1, round(inner * width / stem.width / STEM_MULTIPLE)) * STEM_MULTIPLE

    *inner, last = stem.convs
    convs = (*(replace(conv, width=scaled(conv.width)) for conv in inner), replace(last, width=width))
    return Genotype(genotype.stages, Stem(convs), genotype.head)


def change_downsample(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Halves the grid of a stage in another way."""
    i = rng.randrange(len(genotype.stages))
    stage = genotype.stages[i]
    kind = _other(space.frame.downsample, stage.downsample.kind, rng)
    if kind is None or stage.downsample.stride == 1:
        return None
    return genotype.with_stage(i, replace(stage, downsample=Downsample(kind)))


def change_head(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Gives the head another norm, another activation, or its average another place."""
    head, choices = genotype.head, space.frame.head
    part, offered = rng.choice(
        [("norm", choices.norms), ("activation", choices.activations), ("pool_first", choices.pool_first)]
    )
    others = [value for value in offered if value != getattr(head, part)]
    if not others:
        return None
    head = replace(head, **{part: rng.choice(others)})
    if head.norm is None and head.activation is None:
        head = replace(head, pool_first=False)  # with nothing to come before, first and last are the same
    return None if head == genotype.head else Genotype(genotype.stages, genotype.stem, head)


def change_norm(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Puts another norm before the graph of a sub-block, or none where the graph has a norm of its own."""
    where, sub = _any_subblock(genotype, rng)
    normed = any(op.role == "norm" for op in sub.graph.ops.values())
    others = [norm for norm in space.frame.norms if norm != sub.norm and (norm is not None or normed)]
    return _with_subblock(genotype, where, replace(sub, norm=rng.choice(others))) if others else None


def change_residual(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Adds the input of a sub-block to its output, or no longer."""
    where, sub = _any_subblock(genotype, rng)
    return _with_subblock(genotype, where, replace(sub, residual=not sub.residual))


def change_activation(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Puts another activation behind a sub-block, or none."""
    where, sub = _any_subblock(genotype, rng)
    others = [activation for activation in space.frame.activations if activation != sub.activation]
    return _with_subblock(genotype, where, replace(sub, activation=rng.choice(others))) if others else None


def _other(offered: Sequence[T], current: T, rng: Random) -> T | None:
    others = [value for value in offered if value != current]
    return rng.choice(others) if others else None


def _any_subblock(genotype: Genotype, rng: Random) -> tuple[tuple[int, int, int], SubBlock]:
    """A random sub-block and its place: uniform stage, block, sub-block."""
    i = rng.randrange(len(genotype.stages))
    j = rng.randrange(len(genotype.stages[i].blocks))
    k = rng.randrange(len(genotype.stages[i].blocks[j].subblocks))
    return (i, j, k), genotype.stages[i].blocks[j].subblocks[k]


def _with_subblock(genotype: Genotype, where: tuple[int, int, int], sub: SubBlock) -> Genotype:
    i, j, k = where
    stage = genotype.stages[i]
    subblocks = stage.blocks[j].subblocks
    block = Block((*subblocks[:k], sub, *subblocks[k + 1 :]))
    return genotype.with_stage(i, replace(stage, blocks=(*stage.blocks[:j], block, *stage.blocks[j + 1 :])))
