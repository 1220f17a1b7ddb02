"""Drawing networks from scratch, near no start: first what a network is made of, then how large it is.

1. A *prototype*: stem, downsampling and head from what the space offers; in each stage one or two kinds of well-known
   blocks, each once; then some random moves over all of it, so that graphs occur that nobody made.
2. A *shape*: depths, how the kinds of a stage take turns, and how widths grow from stage to stage.
3. A *scale*: bisection makes all stages wider or narrower together until the network's cost is where the limits allow.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from ...blocks import BLOCKS
from ...errors import GenotypeError, SpaceError
from ...genotype import Block, Downsample, Genotype, Stage
from ...ops import Matmul1
from ..limits import Limits
from .budget import REPAIRABLE, Budget, Excess
from .frame import FrameChoices
from .resize import resized

if TYPE_CHECKING:
    from .base import Proposal

ATTEMPTS = 40
"""Networks that are drawn before the one nearest to the limits is repaired."""
KNOWN_ONLY = 0.3
"""Probability that no move touches the blocks of the prototype."""
MOST_MOVES = 16
"""Moves over a prototype, at most."""
SECOND_KIND = 0.35
"""Probability that a stage has two kinds of blocks."""
SAME_DOWNSAMPLING = 0.6
"""Probability that all stages halve in one way."""
SAME_KIND = 0.3
"""Probability that a stage takes its kinds from the one before."""
GROWTH = (1.1, 2.6)
"""Range of the width of a stage against the one before."""
STAGE_SHARES = (1.0, 1.0, 2.0, 1.0)
"""How many of the blocks stages tend to get, as in published networks; 1 for any further stage."""
BISECTIONS = 12


class Sampled(Protocol):
    """What `sample` asks of a space of graphs."""

    name: str
    specification: Any
    limits: Any

    @property
    def starts(self) -> Sequence[str]: ...
    def start(self, name: str) -> Genotype: ...
    def check(self, genotype: Genotype, what: str = ...) -> None: ...
    def neighbour(self, genotype: Genotype, rng: Random, limits: Limits | None = None) -> Proposal: ...
    def repair(self, genotype: Genotype, limits: Limits, rng: Random) -> Genotype: ...


def sample(space: Sampled, rng: Random, limits: Limits | None = None) -> Genotype:
    """A network drawn from scratch, inside the space and the limits.

    Between a least and a most its cost is about uniform, below a most alone about log-uniform.

    Raises:
        SpaceError: none was found; the message says what stood in the way.
    """
    budget = Budget(limits, space.limits)
    refused: Counter[str] = Counter()
    nearest: tuple[float, Genotype] | None = None
    for _ in range(ATTEMPTS):
        goal = budget.aim(rng)
        try:
            shape = _shape(space, rng)
            genotype, missed = _scaled(shape, goal, budget)
            space.check(genotype)
        except (GenotypeError, SpaceError) as error:  # blocks that fit no width, or graphs that grew too large
            refused[str(error).split("\n")[0]] += 1
            continue
        if not missed:
            return genotype
        refused.update(list(missed))
        distance = sum(missed.values())
        nearest = min(nearest or (distance, genotype), (distance, genotype), key=lambda found: found[0])
    if nearest is not None and nearest[0] <= REPAIRABLE:
        try:
            return space.repair(nearest[1], limits or Limits(), rng)
        except SpaceError:
            refused["no repair"] += 1
    reasons = ", ".join(f"{name} ({count} times)" for name, count in refused.most_common(3))
    raise SpaceError(
        f"no network of space {space.name!r} found under {budget} in {ATTEMPTS} draws; in the way: {reasons}"
    )


@dataclass(frozen=True)
class Shape:
    """A network but for its size."""

    prototype: Genotype
    """Each stage has its kinds of blocks, each once."""
    depths: tuple[int, ...]
    turns: tuple[bool, ...]
    """Whether the kinds of a stage alternate, or each has a stretch of the stage."""
    growth: tuple[float, ...]
    """Width of each stage against the first."""
    admitted: tuple[int, ...]
    """Widths that a stage may have, in rising order."""
    most_blocks: tuple[int, int]
    """In a stage, and in the network."""

    def at(self, scale: float) -> Genotype:
        """The network whose first stage is about `scale` channels wide. Raises GenotypeError: no width fits."""
        prototype = self.prototype
        stages, before = [], prototype.stem.width
        for stage, depth, alternate, growth in zip(prototype.stages, self.depths, self.turns, self.growth):
            keeps = stage.downsample.kind == "none"
            widths = (before,) if keeps else _by_distance(self.admitted, growth * scale)
            width, kinds = next(_fitting(stage, widths), (0, ()))
            if not width:
                raise GenotypeError("the blocks drawn for a stage fit no width of the space")
            count = len(kinds)
            order = (j % count if alternate else j * count // depth for j in range(depth))
            stages.append(Stage(width, tuple(kinds[j] for j in order), stage.downsample))
            before = width
        return Genotype(tuple(stages), prototype.stem, prototype.head)

    def deeper(self, factor: float) -> Shape:
        """The same with more blocks, or fewer for a factor below 1; the same object where that cannot be."""
        in_stage, in_all = self.most_blocks
        depths = tuple(max(1, min(in_stage, math.floor(depth * factor + 0.5))) for depth in self.depths)
        return self if depths == self.depths or sum(depths) > in_all else replace(self, depths=depths)


def _shape(space: Sampled, rng: Random) -> Shape:
    bounds = space.specification.limits
    prototype = _prototype(space, rng)
    count = len(prototype.stages)
    in_all = min(bounds.depth, count * bounds.blocks)
    shares = [*STAGE_SHARES, *(1.0 for _ in range(count))][:count]
    weights = [share * rng.gammavariate(2.0, 1.0) for share in shares]
    total = count * (max(in_all, count) / count) ** rng.random()  # log-uniform
    depths = [min(bounds.blocks, max(1, round(total * weight / sum(weights)))) for weight in weights]
    while sum(depths) > in_all and max(depths) > 1:
        depths[depths.index(max(depths))] -= 1
    growth = [1.0]
    for _ in range(count - 1):
        growth.append(growth[-1] * rng.uniform(*GROWTH))
    turns = tuple(rng.random() < 0.5 for _ in range(count))
    return Shape(prototype, tuple(depths), turns, tuple(growth), _widths(space), (bounds.blocks, in_all))


def _widths(space: Sampled) -> tuple[int, ...]:
    bounds = space.specification.limits
    step = bounds.width_multiple
    found = tuple(range(-(-bounds.min_width // step) * step, bounds.max_width + 1, step))
    if not found:
        raise SpaceError(f"space {space.name!r}: no multiple of limits.width_multiple = {step} is an admitted width")
    return found


def _prototype(space: Sampled, rng: Random) -> Genotype:
    """One or two kinds of blocks in every stage, some of them grown by random moves, in the frame of a start."""
    base = _framed(space.start(rng.choice(list(space.starts))), space.specification.frame, rng)
    attending = frozenset(stage - 1 for stage in space.specification.attention_stages)
    stages: list[Stage] = []
    kinds: list[str] = []
    for i, stage in enumerate(base.stages):
        side = -(-space.specification.design_size // base.strides[i])
        known = {}
        for name in space.specification.blocks:
            block = known_block(name, stage.width, side)
            if block is not None and (i in attending or not _attends(block)):
                known[name] = block
        kinds = [kind for kind in kinds if kind in known] if rng.random() < SAME_KIND else []
        if not kinds and known:
            kinds = rng.sample(list(known), min(len(known), 1 + (rng.random() < SECOND_KIND)))
        blocks = tuple(known[kind] for kind in kinds) or (rng.choice(stage.blocks),)
        stages.append(replace(stage, blocks=blocks))
    genotype = Genotype(tuple(stages), base.stem, base.head)
    for _ in range(0 if rng.random() < KNOWN_ONLY else rng.randint(1, MOST_MOVES)):
        genotype = space.neighbour(genotype, rng).genotype
    return genotype


def _framed(genotype: Genotype, frame: FrameChoices, rng: Random) -> Genotype:
    """The network with a random stem width, downsampling and head, where the space offers any."""
    stem, stages, head = genotype.stem, list(genotype.stages), genotype.head
    if frame.stem_widths and stages[0].downsample.kind != "none":
        stem = replace(stem, convs=(*stem.convs[:-1], replace(stem.convs[-1], width=rng.choice(frame.stem_widths))))
    if frame.downsample:
        kind, alike = rng.choice(frame.downsample), rng.random() < SAME_DOWNSAMPLING
        for i, stage in enumerate(stages):
            if stage.downsample.stride == 2:
                stages[i] = replace(stage, downsample=Downsample(kind if alike else rng.choice(frame.downsample)))
    offered = {"norm": frame.head.norms, "activation": frame.head.activations, "pool_first": frame.head.pool_first}
    head = replace(head, **{name: rng.choice(values) for name, values in offered.items() if values})
    return Genotype(tuple(stages), stem, head)


def _attends(block: Block) -> bool:
    return any(isinstance(op, Matmul1) for sub in block.subblocks for op in sub.graph.ops.values())


@lru_cache(maxsize=1024)  # the same object each time, so that its graphs share their costs
def known_block(name: str, width: int, side: int) -> Block | None:
    """A well-known block; None where it does not fit the width."""
    make = BLOCKS[name]
    sized = {"bias_size": side} if "bias_size" in inspect.signature(make).parameters else {}
    try:
        block = make(width, **sized)
        for sub in block.subblocks:
            sub.graph.infer(width)
    except GenotypeError:
        return None
    return block


def _by_distance(widths: Sequence[int], wanted: float) -> list[int]:
    """The widths, those first that are nearest by ratio."""
    return sorted(widths, key=lambda width: abs(math.log(width / wanted)))


def _fitting(stage: Stage, widths: Sequence[int]) -> Iterator[tuple[int, tuple[Block, ...]]]:
    """(width, the stage's blocks at it) for all of `widths` that the blocks can have, in order."""
    for width in widths:
        try:
            yield width, tuple(resized(block, stage.width, width) for block in stage.blocks)
        except GenotypeError:
            continue


def _scaled(shape: Shape, goal: Budget, budget: Budget) -> tuple[Genotype, Excess]:
    """The network of a shape at the scale where it meets the goal, or else comes nearest to it within the budget.

    Returns it and what it misses of the budget.
    """
    low, high = shape.admitted[0] / shape.growth[-1], float(shape.admitted[-1])
    best: tuple[bool, float, Genotype, Excess] | None = None

    def look(shape: Shape, scale: float) -> int:
        """Keeps the network if it is the best so far; 1 where it costs too much, -1 too little, 0 for enough."""
        nonlocal best
        genotype = shape.at(scale)
        missed, beside = budget.excess(genotype), goal.excess(genotype)
        found = (bool(missed), sum(missed.values()) if missed else sum(beside.values()), genotype, missed)
        if best is None or found[:2] < best[:2]:
            best = found
        return 0 if not beside else 1 if any(name.startswith("max") for name in beside) else -1

    if not budget.limits:
        genotype = shape.at((low * high) ** 0.5)
        return genotype, {}
    for _ in range(5):  # where no width will do, other depths may
        smallest, largest = look(shape, low), look(shape, high)
        if smallest <= 0 <= largest or not smallest or not largest:
            break
        changed = shape.deeper(0.5 if smallest > 0 else 2)
        if changed is shape:
            break
        shape = changed
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        side = look(shape, middle)
        if not side:
            break
        low, high = (middle, high) if side < 0 else (low, middle)
    if best is None:
        raise SpaceError("no network was made")
    return best[2], best[3]
