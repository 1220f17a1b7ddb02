"""Moves on the network around the graphs: blocks, sub-blocks and widths. Untouched graphs are shared."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from ....genotype import Block, Genotype, Stage, SubBlock
from ..resize import resized
from .base import Surroundings


def _with_blocks(genotype: Genotype, index: int, blocks: tuple[Block, ...]) -> Genotype:
    return genotype.with_stage(index, replace(genotype.stages[index], blocks=blocks))


def _any_stage(genotype: Genotype, rng: Random) -> tuple[int, Stage]:
    index = rng.randrange(len(genotype.stages))
    return index, genotype.stages[index]


def add_block(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Adds a well-known block to a stage."""
    i, stage = _any_stage(genotype, rng)
    block = space.known_block(genotype, i, rng)
    if block is None:
        return None
    at = rng.randint(0, len(stage.blocks))
    return _with_blocks(genotype, i, (*stage.blocks[:at], block, *stage.blocks[at:]))


def copy_block(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Repeats a block behind itself."""
    i, stage = _any_stage(genotype, rng)
    at = rng.randrange(len(stage.blocks))
    return _with_blocks(genotype, i, (*stage.blocks[: at + 1], *stage.blocks[at:]))


def remove_block(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Removes a block from a stage of two or more."""
    i, stage = _any_stage(genotype, rng)
    if len(stage.blocks) < 2:
        return None
    at = rng.randrange(len(stage.blocks))
    return _with_blocks(genotype, i, (*stage.blocks[:at], *stage.blocks[at + 1 :]))


def _with_subblocks(genotype: Genotype, i: int, j: int, subblocks: tuple[SubBlock, ...]) -> Genotype:
    blocks = genotype.stages[i].blocks
    return _with_blocks(genotype, i, (*blocks[:j], Block(subblocks), *blocks[j + 1 :]))


def add_subblock(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Adds a sub-block of a well-known block to a block."""
    i, stage = _any_stage(genotype, rng)
    known = space.known_block(genotype, i, rng)
    if known is None:
        return None
    j = rng.randrange(len(stage.blocks))
    subblocks = stage.blocks[j].subblocks
    at = rng.randint(0, len(subblocks))
    return _with_subblocks(genotype, i, j, (*subblocks[:at], rng.choice(known.subblocks), *subblocks[at:]))


def remove_subblock(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Removes a sub-block from a block of two or more."""
    i, stage = _any_stage(genotype, rng)
    j = rng.randrange(len(stage.blocks))
    subblocks = stage.blocks[j].subblocks
    if len(subblocks) < 2:
        return None
    at = rng.randrange(len(subblocks))
    return _with_subblocks(genotype, i, j, (*subblocks[:at], *subblocks[at + 1 :]))


def change_width(genotype: Genotype, space: Surroundings, rng: Random) -> Genotype | None:
    """Makes a stage wider or narrower, by a third at most; heads keep about their width."""
    i, stage = _any_stage(genotype, rng)
    offered = space.limits.widths_near(stage.width)
    if not offered:
        return None
    width = rng.choice(offered)
    blocks = tuple(resized(block, stage.width, width) for block in stage.blocks)
    return genotype.with_stage(i, replace(stage, width=width, blocks=blocks))
