"""A network of the authors' package as data: sequences of nodes, some of which hold sequences.

    Model > stages > blocks > two sub-blocks, each a sequence > nodes

A node is named by its class there. What a class holds is in HOLDS, by the names that the file uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

HEAD_WIDTH = 32
"""Channels of an attention head there."""
HEADS = (3, 6, 12, 24)
"""Numbers of heads that their attention takes."""
BAND = 5
"""Of their mask: entries with |i - j| above it become 0."""

PLAIN = (
    *(
        "BatchNorm",
        "Conv1",
        "Conv3",
        "ConvDepth3",
        "ConvDepth5",
        "ConvExp3",
        "Dropout",
        "GELU",
        "Identity",
        "LayerNorm",
    ),
    *("Mask", "MatmulLeft", "MatmulRight", "MaxPool", "Multiply", "Concat", "RelPosBias", "Sigmoid", "Softmax", "Zero"),
)
"""Classes that hold nothing, and of which the file says no more than the class."""
COUNTED = ("Chunk", "Copy")
RESIZING = ("ExpandAndReduce", "ReduceAndExpand")
PAIRS = (
    ("chunk", "concat"),
    ("copy", "add"),
    ("copy", "multiply"),
    ("chunk", "matmul"),
    ("convexp3", "concat"),
    ("", ""),
)
"""How a ForkMerge may fork and merge."""
SIZED = ("AvgAndUpsample", "Mask", "RelPosBias")
"""Classes that work for one size of the image, said when they are built."""


@dataclass(frozen=True)
class Node:
    """One node. Equal where they are built alike: the place in the file does not count."""

    kind: str
    path: str = field(default="", compare=False)
    parts: tuple[tuple[str, tuple[tuple[Node, ...], ...]], ...] = ()
    """Sequences of nodes that it holds, by the file's names."""
    pair: tuple[str, str] = ("", "")
    """ForkMerge: how it forks and merges; MergeModule: (merge, "")."""
    number: int = 0
    """A factor, a number of branches, or the side of the grid that a table of biases covers."""

    def sequences(self, name: str) -> tuple[tuple[Node, ...], ...]:
        """The sequences of one name."""
        return dict(self.parts)[name]


Sequence_ = tuple[Node, ...]


@dataclass(frozen=True)
class BlockTree:
    """x + first(norm1(x)), then x + second(norm2(x))."""

    first: Sequence_
    second: Sequence_


@dataclass(frozen=True)
class StageTree:
    """Blocks of one width."""

    width: int
    blocks: tuple[BlockTree, ...]


@dataclass(frozen=True)
class Model:
    """A network with all that its file says."""

    stages: tuple[StageTree, ...]
    img_size: int = 224
    num_classes: int = 1000
    drop_rate: float = 0.0
    stem_width: tuple[int, int] = (32, 64)

    @property
    def sides(self) -> list[int]:
        """The side of the grid for which each stage's nodes are built there."""
        side, found = self.img_size // 2, []
        for _ in self.stages:
            found.append(side // 2)
            side = -(-side // 2)
        return found

    @property
    def real_sides(self) -> list[int]:
        """The side of what really comes out of the stem, and of each stage: they differ where a side is odd."""
        found = [-(-self.img_size // 2)]
        for _ in self.stages:
            found.append(found[-1] // 2)
        return found


def walk(sequence: Sequence_) -> Iterator[Node]:
    """All nodes of a sequence, with those inside."""
    for node in sequence:
        yield node
        for _, sequences in node.parts:
            for inner in sequences:
                yield from walk(inner)


def sequential(kind: str, inner: Sequence_ = (), number: int = 0, path: str = "") -> Node:
    """A node that holds one sequence."""
    name = {"SequentialModule": "modules", "MergeModule": "process"}.get(kind, "sequential")
    return Node(kind, path, ((name, (inner,)),), number=number)


def fork_merge(fork: str, merge: str, *branches: Sequence_, path: str = "") -> Node:
    """A ForkMerge."""
    return Node("ForkMerge", path, (("branches", branches),), (fork, merge), len(branches))


def attention(heads: Sequence[tuple[Sequence_, ...]], path: str = "") -> Node:
    """Their attention, from (query branch, key branch, value branch, connection, post branch) of each head."""
    branches = tuple(branch for head in heads for branch in head[:3])
    parts = (
        ("branches", branches),
        ("connections", tuple(head[3] for head in heads)),
        ("post_branches", tuple(head[4] for head in heads)),
    )
    return Node("ForkMergeAttention", path, parts)


def letter_block(letter: str, width: int, side: int, path: str = "") -> BlockTree:
    """What R, E and T stand for, in a stage of `width` channels on a `side` x `side` grid."""
    zero = (Node("Zero", path),)
    if letter == "R":
        half = tuple(Node(kind, path) for kind in ("Conv3", "BatchNorm", "GELU"))
        return BlockTree(half + half, zero)
    norm, gelu = Node("BatchNorm", path), Node("GELU", path)
    if letter == "E":
        gate = sequential("AvgAndUpsample", (sequential("ReduceAndExpand", (gelu,), 4, path),), path=path)
        inner = (
            norm,
            gelu,
            Node("ConvDepth5", path),
            norm,
            gelu,
            fork_merge("copy", "multiply", (), (gate,), path=path),
        )
        return BlockTree((sequential("ExpandAndReduce", inner, 4, path), norm), zero)
    head = ((), (), (), (Node("RelPosBias", path, number=side), Node("Softmax", path)), ())
    first = (attention([head] * (width // HEAD_WIDTH), path), Node("Conv1", path))
    second = sequential("ExpandAndReduce", (Node("LayerNorm", path), gelu), 4, path)
    return BlockTree(first, (second,))
