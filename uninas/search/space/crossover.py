"""Crossing two networks: a child with stages, blocks and sub-blocks of both.

    stages      stand beside each other by index; in networks with unequal numbers of stages, by output stride
    blocks      stand beside each other by relative position: in stages of 2 and 4, the first beside the first two
    sub-blocks  stand beside each other by index, in blocks with as many of them

The child has the frame of stages of one parent. Whatever comes from the other is resized to the width that it goes to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any, Protocol

from ...errors import GenotypeError, SpaceError
from ...genotype import Block, Genotype, Stage
from ..limits import Limits
from .base import Proposal
from .budget import REPAIRABLE, Budget
from .resize import resized

ATTEMPTS = 200
"""Children that are looked at before the one nearest to the limits is repaired."""
WHOLE_STAGE, MIXED_BLOCKS = 0.5, 0.35
"""Probabilities that a stage comes whole from a random parent, and that each block does; else each sub-block does."""


class Crossed(Protocol):
    """What `cross` asks of a space of graphs."""

    name: str
    limits: Any

    def check(self, genotype: Genotype, what: str = ...) -> None: ...
    def repair(self, genotype: Genotype, limits: Limits, rng: Random) -> Genotype: ...


def cross(space: Crossed, mother: Genotype, father: Genotype, rng: Random, limits: Limits | None = None) -> Proposal:
    """A child with parts of both, inside the space and the limits, whose key is neither's.

    Raises:
        SpaceError: none was found; the message says what stood in the way.
    """
    if mother.key == father.key:
        raise SpaceError(f"nothing to cross in space {space.name!r}: both parents are one network")
    budget = Budget(limits, space.limits)
    strides = {mother.strides, father.strides}
    refused: Counter[str] = Counter()
    costly = 0
    nearest: tuple[float, Genotype] | None = None
    for _ in range(ATTEMPTS):
        pair = (mother, father) if rng.random() < 0.5 else (father, mother)
        try:
            child = _child(*pair, rng)
            space.check(child)
        except (GenotypeError, SpaceError) as error:  # blocks that fit no other width, or a place where they may not be
            refused[str(error).split("\n")[0]] += 1
            continue
        if child.strides not in strides:
            refused["other strides than both parents"] += 1
        elif child.key in (mother.key, father.key):
            refused["nothing of the other parent"] += 1
        elif missed := budget.excess(child):
            refused.update(list(missed))
            costly += 1
            distance = sum(missed.values())
            nearest = min(nearest or (distance, child), (distance, child), key=lambda found: found[0])
        else:
            return Proposal(child, "cross", costly)
    if nearest is not None and nearest[0] <= REPAIRABLE:
        try:
            child = space.repair(nearest[1], limits or Limits(), rng)
        except SpaceError:
            refused["no repair"] += 1
        else:
            if child.key not in (mother.key, father.key):
                return Proposal(child, "cross", costly)
    reasons = ", ".join(f"{name} ({count} times)" for name, count in refused.most_common(3))
    raise SpaceError(
        f"no child of {mother} and {father} found in {ATTEMPTS} attempts in space {space.name!r} under {budget}; "
        f"in the way: {reasons}"
    )


def _child(one: Genotype, other: Genotype, rng: Random) -> Genotype:
    """A child in the frame of `one`. Raises GenotypeError where parts do not fit together."""
    partners = _partners(one, other)
    if not partners:
        raise SpaceError("no two stages of the parents have one stride")
    stages = []
    for i, stage in enumerate(one.stages):
        stages.append(_stage(stage, other.stages[partners[i]], rng) if i in partners else stage)
    alike = len(one.stages) == len(other.stages)
    stem = other.stem if alike and stages[0] is other.stages[0] else one.stem  # the stem goes with the first stage
    head = rng.choice((one, other)).head
    return Genotype(tuple(stages), stem, head)


def _partners(one: Genotype, other: Genotype) -> dict[int, int]:
    """The stage of `other` that stands beside each stage of `one`, where there is any."""
    if len(one.stages) == len(other.stages):
        return {i: i for i in range(len(one.stages))}
    by_stride = {stride: j for j, stride in enumerate(other.strides)}  # the last of a stride
    return {i: by_stride[stride] for i, stride in enumerate(one.strides) if stride in by_stride}


def _stage(mine: Stage, theirs: Stage, rng: Random) -> Stage:
    """One of both stages, or one of their widths and depths with blocks of both."""
    draw = rng.random()
    if draw < WHOLE_STAGE:
        return rng.choice((mine, theirs))
    frame, depth = rng.choice((mine, theirs)), len(rng.choice((mine, theirs)).blocks)
    blocks = []
    for j in range(depth):
        aligned = [
            resized(stage.blocks[j * len(stage.blocks) // depth], stage.width, frame.width) for stage in (mine, theirs)
        ]
        blocks.append(rng.choice(aligned) if draw < WHOLE_STAGE + MIXED_BLOCKS else _block(aligned[0], aligned[1], rng))
    return replace(frame, blocks=tuple(blocks))


def _block(mine: Block, theirs: Block, rng: Random) -> Block:
    """Each sub-block from one of both; one of the blocks where they have unequal numbers of them."""
    if len(mine.subblocks) != len(theirs.subblocks):
        return rng.choice((mine, theirs))
    return Block(tuple(rng.choice(pair) for pair in zip(mine.subblocks, theirs.subblocks)))
