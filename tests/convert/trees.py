"""Random networks in the authors' format: any node on any sequence where it fits, as their search adds them."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt
from random import Random

from uninas.convert.tree import (
    HEAD_WIDTH,
    HEADS,
    BlockTree,
    Model,
    Node,
    Sequence_,
    StageTree,
    attention,
    fork_merge,
    letter_block,
    sequential,
)

LETTERS = {"R": "RRRR", "E": "EEEE", "T": "TTTT", "CoAtNet": "EETT"}
Shape = tuple[int, int, int]

FORKS = [("chunk", "concat"), ("copy", "add"), ("copy", "multiply")]
SIMPLE = (
    *("Softmax", "Sigmoid", "GELU", "Dropout", "BatchNorm", "LayerNorm", "MaxPool"),
    *("Conv1", "Conv3", "ConvDepth3", "ConvDepth5", "Mask"),
)


def start(name: str, widths: tuple[int, ...], depths: tuple[int, ...], size: int) -> Model:
    blank = Model(tuple(StageTree(width, ()) for width in widths), size, 7, 0.0, (8, 16))
    stages = [
        StageTree(width, (letter_block(letter, width, side),) * depth)
        for letter, width, depth, side in zip(LETTERS[name], widths, depths, blank.sides)
    ]
    return replace(blank, stages=tuple(stages))


def fitting(shape: Shape) -> list[Node]:
    """All nodes that their search may add to a sequence of a shape."""
    channels, height, _ = shape
    found = [Node(kind) for kind in SIMPLE] + [sequential("ExpandAndReduce", (), 4), sequential("AvgAndUpsample")]
    found += [fork_merge(*pair, (), ()) for pair in FORKS if pair[0] == "copy" or channels % 2 == 0]
    if channels % 4 == 0:
        found.append(sequential("ReduceAndExpand", (), 4))
    if channels % HEAD_WIDTH == 0 and channels // HEAD_WIDTH in HEADS:
        found.append(attention([((),) * 5] * (channels // HEAD_WIDTH)))
    if isqrt(height) ** 2 == height:
        found.append(Node("RelPosBias", number=isqrt(height)))
    return found


def inside(node: Node, name: str, shape: Shape) -> Shape:
    """The shape of the sequences that a node holds under a name."""
    channels, height, width = shape
    if node.kind == "ExpandAndReduce":
        return (channels * node.number, height, width)
    if node.kind == "ReduceAndExpand":
        return (channels // node.number, height, width)
    if node.kind == "AvgAndUpsample":
        return (channels, 1, 1)
    if node.kind == "ForkMerge":
        return (channels // node.number if node.pair[0] == "chunk" else channels, height, width)
    return (1, height * width, height * width) if name == "connections" else (HEAD_WIDTH, height, width)


def places(sequence: Sequence_, shape: Shape) -> int:
    """The number of sequences in a sequence, itself counted."""
    return 1 + sum(
        places(inner, inside(node, name, shape)) for node in sequence for name, inners in node.parts for inner in inners
    )


def changed(sequence: Sequence_, shape: Shape, place: int, rng: Random) -> Sequence_:
    """The sequence with a node more, or less, in its `place`-th sequence."""
    if place == 0:
        nodes = list(sequence)
        if nodes and rng.random() < 0.3:
            del nodes[rng.randrange(len(nodes))]
        else:
            nodes.insert(rng.randint(0, len(nodes)), rng.choice(fitting(shape)))
        return tuple(nodes)
    place -= 1
    for i, node in enumerate(sequence):
        parts = []
        hit = False
        for name, inners in node.parts:
            kept = []
            for inner in inners:
                count = places(inner, inside(node, name, shape))
                if not hit and place < count:
                    inner, hit = changed(inner, inside(node, name, shape), place, rng), True
                elif not hit:
                    place -= count
                kept.append(inner)
            parts.append((name, tuple(kept)))
        if hit:
            return (*sequence[:i], replace(node, parts=tuple(parts)), *sequence[i + 1 :])
    raise AssertionError("there is no such place")


def mutated(model: Model, rng: Random, changes: int) -> Model:
    """A network after some random changes."""
    for _ in range(changes):
        i = rng.randrange(len(model.stages))
        stage, side = model.stages[i], model.sides[i]
        j = rng.randrange(len(stage.blocks))
        name = rng.choice(("first", "second"))
        sequence, shape = getattr(stage.blocks[j], name), (stage.width, side, side)
        new = changed(sequence, shape, rng.randrange(places(sequence, shape)), rng)
        block = replace(stage.blocks[j], **{name: new})
        stage = replace(stage, blocks=(*stage.blocks[:j], block, *stage.blocks[j + 1 :]))
        model = replace(model, stages=(*model.stages[:i], stage, *model.stages[i + 1 :]))
    return model


def example(name: str, seed: int) -> Model:
    """A mutated network of a start, of a size that depends on the seed."""
    widths = (96, 96, 96, 192) if name == "T" else (16, 32, 96, 96)
    depths = (1, 1, 2, 1)
    model = start(name, widths, depths, (64, 96, 128)[seed % 3])
    return mutated(model, Random(seed), (1, 2, 4, 8, 16, 32)[seed % 6])


__all__ = ["BlockTree", "example", "mutated", "start"]
