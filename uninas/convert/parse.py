"""Block graph -> tree: the way back.

A graph is read from its output towards its input, one node of theirs at a time. What forks is read branch by branch
until the branches meet; what closes (a reduction, an upsampling) until it is found what opens it. Operations on several
heads are taken apart: a `Part` is a range of the channels of a port, and what gives it follows from what gives the
whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from ..genotype import INPUT, OUTPUT, BlockGraph, Ref
from ..ops import Grid, Op
from .errors import ConvertError
from .tree import BAND, HEAD_WIDTH, HEADS, Node, Sequence_, attention, fork_merge, sequential

PLAIN = {
    "any_batch_norm": "BatchNorm",
    "any_layer_norm": "LayerNorm",
    "any_max_pool": "MaxPool",
    "batch_norm": "BatchNorm",
    "dropout": "Dropout",
    "gelu": "GELU",
    "layer_norm": "LayerNorm",
    "mask": "Mask",
    "max_pool": "MaxPool",
    "point_softmax": "Softmax",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "zero": "Zero",
}
CONVS = {("conv", 1): "Conv1", ("conv", 3): "Conv3", ("dwconv", 3): "ConvDepth3", ("dwconv", 5): "ConvDepth5"}
AVERAGES = {"upsample": "global_avg_pool", "pair_upsample": "pair_avg_pool"}
SETTINGS: dict[str, dict[str, object]] = {
    "dropout": {"p": 0.5},
    "mask": {"band": BAND, "fill": "zero"},
    "conv": {"bias": True, "groups": 1},
    "dwconv": {"bias": False},
    "multiply": {"gate": "sigmoid"},
}
"""What theirs have fixed."""
EACH = ("any_batch_norm", "any_dwconv", "batch_norm", "dropout", "dwconv", "mask", "rel_pos_bias")
"""Operations that do the same to every channel, with weights of its own."""


class Part(NamedTuple):
    """Channels `start` to `start + count` of a port."""

    ref: Ref
    start: int
    count: int


def parse(graph: BlockGraph, width: int, side: int) -> Sequence_:
    """The sequence of nodes that a graph is, in a stage of `width` channels on a `side` x `side` grid.

    Raises:
        ConvertError: their package cannot say it; the path is that of a node, as in the genotype's file.
    """
    return _Reader(graph, width, side).sequence()


class _Unknown(ConvertError):
    """An operation, or a setting of one, that theirs has not: whatever else is tried, this is what is wrong."""


class _Reader:
    def __init__(self, graph: BlockGraph, width: int, side: int) -> None:
        self.graph, self.side = graph, side
        self.values = graph.infer(width)
        self.rank = {INPUT: -1, **{node: i for i, node in enumerate(graph.flow_order)}}
        self.numbers = {node: i for i, node in enumerate(graph.ops)}

    def sequence(self) -> Sequence_:
        at, nodes = self.whole(self.graph.sources[OUTPUT][0]), []
        while at.ref.node != INPUT:
            node, at = self.step(at)
            nodes.insert(0, node)
        return tuple(nodes)

    def error(self, at: Part, message: str) -> ConvertError:
        return ConvertError(message, f"nodes[{self.numbers[at.ref.node]}]" if at.ref.node != INPUT else "")

    def unknown(self, at: Part, message: str) -> ConvertError:
        error = self.error(at, message)
        return _Unknown(error.message, error.path)

    def whole(self, ref: Ref) -> Part:
        return Part(ref, 0, self.values[ref].channels)

    def is_whole(self, at: Part) -> bool:
        return at.count == self.values[at.ref].channels

    def grid(self, at: Part) -> Grid:
        return self.values[at.ref].grid

    def step(self, at: Part) -> tuple[Node, Part]:
        """The node of theirs that gives `at`, and what goes into it."""
        if at.ref.node == INPUT:
            raise self.error(at, "a fork, an expansion or an average has no counterpart")
        op, inputs = self.opened(at)
        if op.name == "chunk":
            raise self.error(at, "their chunk is merged by a concat of all its parts, in order")
        if op.name == "add" or op.name == "multiply":
            return self.copies(at, op, inputs)
        if op.name == "concat" and (found := self.chunks(at, inputs)) is not None:
            return found
        if op.name in ("matmul2", "point_matmul2") and (found := self.one_head(inputs)) is not None:
            return found
        if op.name in ("matmul2", "point_matmul2", "concat") or op.attributes().get("groups", 1) > 1:
            return self.attention(at)
        if op.name in AVERAGES:
            inner, before = self.until(inputs[0], lambda found: found.name == AVERAGES[op.name])
            return sequential("AvgAndUpsample", inner), before
        if op.name == "conv" and op.attributes()["ratio"] != 1:
            return self.resizing(at, op, inputs[0])
        return self.plain(at, op), inputs[0]

    def plain(self, at: Part, op: Op) -> Node:
        a, name = op.attributes(), op.name.removeprefix("any_")
        for key, value in SETTINGS.get(name, {}).items():
            if a[key] != value:
                raise self.unknown(at, f"theirs has {key} {value}, this {op.name} has {a[key]}")
        if name in ("conv", "dwconv"):
            kind = CONVS.get((name, a["kernel"]))
            if kind is None or a.get("ratio", 1) != 1:
                raise self.unknown(
                    at, f"theirs has no {op.name} with kernel {a['kernel']} and ratio {a.get('ratio', 1)}"
                )
            return Node(kind)
        if name in ("rel_pos_bias", "shared_pos_bias"):
            return Node("RelPosBias", number=self.table(at, op))
        if op.name not in PLAIN:
            raise self.unknown(at, f"theirs has no {op.name}")
        return Node(PLAIN[op.name])

    def table(self, at: Part, op: Op) -> int:
        """The side of a bias's table, which there is that of the grid."""
        size, grid = op.attributes()["size"], self.grid(at)
        if op.name == "rel_pos_bias" and at.count > 1:
            raise self.error(at, f"theirs has one table for all channels, this rel_pos_bias has {at.count}")
        side = {Grid.PAIR: self.side, Grid.POINT: 1, Grid.FULL: isqrt(self.side)}[grid]
        if size != side or (grid is Grid.FULL and side * side != self.side):
            raise self.unknown(
                at, f"the table is for {size} x {size}, but the stage has {self.side} x {self.side} positions"
            )
        return size

    def resizing(self, at: Part, op: Op, inner: Part) -> tuple[Node, Part]:
        """An expansion and reduction, or the other way round; or a lone convolution to three times the width."""
        ratio: Fraction = op.attributes()["ratio"]
        self.pointwise(at, op)
        try:
            nodes, before = self.until(
                inner, lambda found: found.name == "conv" and found.attributes()["ratio"] == 1 / ratio
            )
        except _Unknown:
            raise
        except ConvertError:
            if ratio == 3:
                return Node("ConvExp3"), inner
            raise self.error(at, f"no convolution of ratio {1 / ratio} comes before that of ratio {ratio}") from None
        kind, factor = ("ReduceAndExpand", ratio) if ratio > 1 else ("ExpandAndReduce", 1 / ratio)
        return sequential(kind, nodes, int(factor)), before

    def pointwise(self, at: Part, op: Op) -> None:
        """Raises ConvertError unless a convolution is 1 x 1, dense and with bias, as theirs that change widths are."""
        if op.attributes()["kernel"] != 1:
            raise self.unknown(at, f"theirs changes widths by 1 x 1 convolutions alone, not {op}")
        self.plain(at, replace(op, ratio=Fraction(1)))  # type: ignore[type-var]

    def until(self, at: Part, opens: Callable[[Op], bool]) -> tuple[Sequence_, Part]:
        """The nodes behind the operation for which `opens` is true, and what goes into that operation."""
        nodes: list[Node] = []
        while at.ref.node != INPUT:
            op, inputs = self.opened(at)
            if opens(op):
                if op.name == "conv":
                    self.pointwise(at, op)
                return tuple(nodes), inputs[0]
            node, at = self.step(at)
            nodes.insert(0, node)
        raise self.error(at, "nothing opens it")

    def copies(self, at: Part, op: Op, inputs: list[Part]) -> tuple[Node, Part]:
        """What is added or multiplied, back to where it forks."""
        if len(inputs) > 3 or op.attributes().get("gate", "sigmoid") != "sigmoid":
            raise self.unknown(
                at, f"theirs adds two or three, and multiplies by a sigmoid gate; not {op} of {len(inputs)}"
            )
        branches, ends = [[] for _ in inputs], list(inputs)
        while len(set(ends)) > 1:
            last = max(range(len(ends)), key=lambda i: self.rank[ends[i].ref.node])
            node, ends[last] = self.step(ends[last])
            branches[last].insert(0, node)
        return fork_merge("copy", op.name, *map(tuple, branches)), ends[0]

    def chunks(self, at: Part, inputs: list[Part]) -> tuple[Node, Part] | None:
        """What is concatenated, back to the chunk that it comes from; None where it is something else."""
        branches = []
        chunks = set()
        try:
            for port, end in enumerate(inputs):
                nodes: list[Node] = []
                while not (self.is_port(end) and end.ref.port == port):
                    node, end = self.step(end)
                    nodes.insert(0, node)
                branches.append(tuple(nodes))
                chunks.add(end.ref.node)
        except _Unknown:
            raise
        except ConvertError:
            return None
        (chunk,) = chunks if len(chunks) == 1 else (None,)
        if chunk is None or self.graph.ops[chunk].outputs != len(inputs):
            return None
        if len(inputs) > 3:
            return None
        return fork_merge("chunk", "concat", *branches), self.whole(self.graph.sources[chunk][0])

    def is_port(self, at: Part) -> bool:
        """Whether it is all of a port of a chunk."""
        node = at.ref.node
        return node != INPUT and self.graph.ops[node].name == "chunk" and self.is_whole(at)

    def one_head(self, inputs: list[Part]) -> tuple[Node, Part] | None:
        """A single head on all channels: chunk into three and multiply; None where there are several."""
        try:
            nodes, multiplied = self.affinities(inputs[0])
            branches, ends = [], []
            for end in (*multiplied, inputs[1]):
                found: list[Node] = []
                while not self.is_port(end):
                    node, end = self.step(end)
                    found.insert(0, node)
                branches.append(tuple(found))
                ends.append(end)
        except _Unknown:
            raise
        except ConvertError:
            return None
        chunk = ends[0].ref.node
        if [end.ref for end in ends] != [Ref(chunk, port) for port in range(3)] or self.graph.ops[chunk].outputs != 3:
            return None
        source = self.graph.sources[chunk][0]
        if self.values[inputs[0].ref].channels != 1:
            return None
        before = self.whole(source)
        if not nodes:
            return fork_merge("chunk", "matmul", *branches), before
        if any(branches):
            return None
        merge = Node("MergeModule", parts=(("process", (nodes,)),), pair=("matmul", ""))
        return sequential("SequentialModule", (Node("Chunk", number=3), merge)), before

    def affinities(self, at: Part) -> tuple[Sequence_, list[Part]]:
        """The nodes behind matmul1, and what it multiplies."""
        nodes: list[Node] = []
        while True:
            op, inputs = self.opened(at)
            if op.name in ("matmul1", "point_matmul1"):
                return tuple(nodes), inputs
            node, at = self.step(at)
            nodes.insert(0, node)

    def attention(self, at: Part) -> tuple[Node, Part]:
        """Heads of 32 channels, side by side, whose queries, keys and values are of one convolution."""
        try:
            return self.side_by_side(at)
        except ConvertError as error:
            if error.path:
                raise
            op = self.graph.ops[at.ref.node]
            raise self.error(
                at, f"theirs has {op.name} so only among the heads of attention, which this is not"
            ) from None

    def side_by_side(self, at: Part) -> tuple[Node, Part]:
        heads = at.count // HEAD_WIDTH
        if at.count % HEAD_WIDTH or heads not in HEADS:
            widths = ", ".join(str(HEAD_WIDTH * count) for count in HEADS)
            raise self.error(
                at, f"their attention is of {HEAD_WIDTH} channels a head on {widths} channels, not {at.count}"
            )
        found, slots = [], []
        for i in range(heads):
            post, end = [], self.through(Part(at.ref, at.start + i * HEAD_WIDTH, HEAD_WIDTH))
            while (opened := self.opened(end))[0].name not in ("matmul2", "point_matmul2"):
                node, end = self.step(end)
                end = self.through(end)
                post.insert(0, node)
            connection, (q, k) = self.affinities(opened[1][0])
            streams = [self.stream(each) for each in (q, k, opened[1][1])]
            found.append((*(nodes for nodes, _ in streams), connection, tuple(post)))
            slots += [slot for _, slot in streams]
        (source, *others) = {slot.ref for slot in slots}
        op = self.graph.ops[source.node]
        of_one = op.name == "conv" and op.attributes()["ratio"] == 3 and not others
        if not of_one or {slot.start for slot in slots} != {HEAD_WIDTH * i for i in range(3 * heads)}:
            raise self.error(
                at, "their attention takes queries, keys and values from one convolution to three times the width"
            )
        self.pointwise(self.whole(source), op)
        return attention(found), self.whole(self.graph.sources[source.node][0])

    def stream(self, at: Part) -> tuple[Sequence_, Part]:
        """The nodes between the queries' (keys', values') convolution and `at`, and the channels of the convolution."""
        nodes: list[Node] = []
        while True:
            slot = self.through(at)
            if slot.ref.node == INPUT:
                raise self.error(at, "attention without a convolution for queries, keys and values")
            op = self.graph.ops[slot.ref.node]
            if op.name == "conv" and op.attributes()["groups"] == 1 and not self.is_whole(slot):
                return tuple(nodes), slot
            node, at = self.step(at)
            nodes.insert(0, node)

    def through(self, at: Part) -> Part:
        """The same channels before the chunks and concats around them."""
        at = self.inside(at)
        while self.is_port(at):
            start = at.ref.port * self.values[at.ref].channels
            at = self.inside(Part(self.graph.sources[at.ref.node][0], start, at.count))
        return at

    def opened(self, at: Part) -> tuple[Op, list[Part]]:
        """The operation that gives a part, as it is on that part alone, and the parts that go in."""
        at = self.inside(at)
        node = at.ref.node
        if node == INPUT:
            raise self.error(at, "nothing comes before the input")
        op, sources = self.graph.ops[node], self.graph.sources[node]
        if self.is_whole(at):
            return op, [self.inside(self.whole(ref)) for ref in sources]
        a = op.attributes()
        if op.channelwise or op.name in EACH or op.name in ("add", "multiply"):
            return op, [self.inside(Part(ref, at.start, at.count)) for ref in sources]
        groups, heads = a.get("groups", 1), a.get("heads", 1)
        if groups > 1 and at.count * groups == self.values[at.ref].channels and at.start % at.count == 0:
            before = self.values[sources[0]].channels // groups
            part = Part(sources[0], at.start // at.count * before, before)
            return replace(op, groups=1), [self.inside(part)]  # type: ignore[type-var]
        if op.name in ("matmul1", "point_matmul1") and at.count == 1:
            each = self.values[sources[0]].channels // heads
            parts = [Part(ref, at.start * each, each) for ref in sources]
            return replace(op, heads=1), [self.inside(part) for part in parts]  # type: ignore[type-var]
        if op.name in ("matmul2", "point_matmul2") and at.count * heads == self.values[at.ref].channels:
            affinity, mixed = Part(sources[0], at.start // at.count, 1), Part(sources[1], at.start, at.count)
            return replace(op, heads=1), [self.inside(affinity), self.inside(mixed)]  # type: ignore[type-var]
        raise self.error(at, f"{op.name} cannot be taken apart into heads")

    def inside(self, at: Part) -> Part:
        """The same channels where they are a range of what a chunk or a concat was given."""
        while at.ref.node != INPUT and not self.is_whole(at):
            op, sources = self.graph.ops[at.ref.node], self.graph.sources[at.ref.node]
            if op.name == "chunk":
                start = at.start + at.ref.port * self.values[at.ref].channels
                at = Part(sources[0], start, at.count)
            elif op.name == "concat":
                start = at.start
                for ref in sources:
                    count = self.values[ref].channels
                    if start < count:
                        break
                    start -= count
                if start + at.count > count:
                    raise self.error(at, "heads that lie across the inputs of a concat")
                at = Part(ref, start, at.count)
            else:
                break
        return at
