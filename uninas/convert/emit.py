"""Tree -> block graph, with a link from each of our tensors to those of theirs that it is made of.

A sequence is written for one place, or for the same place in several heads at once: heads that are built alike become
one operation with `heads` or `groups`, and its tensors are theirs one behind the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import GenotypeError
from ..genotype import INPUT, OUTPUT, BlockGraph, GraphBuilder, Ref
from ..ops import Grid, Value
from .errors import ConvertError
from .tree import BAND, HEAD_WIDTH, HEADS, Node, Sequence_

Values = tuple[Ref, ...]
Prefixes = tuple[str, ...]
"""Where a sequence's weights are in their state dict: one prefix, or one for each head."""


class Link(NamedTuple):
    """One of our tensors, from theirs: joined along the first axis, then put in `order`."""

    ours: str
    theirs: tuple[str, ...]
    order: tuple[int, ...] | None = None


@dataclass
class Emitted:
    """The graph of a sub-block."""

    graph: BlockGraph
    links: list[Link]
    """`ours` starts with the id of a node."""
    unused: list[str]
    """Prefixes of their tensors that nothing reads."""
    masks: dict[str, Grid]
    """Their buffers that hold a band, and the grid that it is for."""
    constant: bool
    """Whether the output does not depend on the input."""

    @property
    def is_zero(self) -> bool:
        """Whether the output is 0 everywhere."""
        (ref,) = self.graph.sources[OUTPUT]
        return ref.node != INPUT and self.graph.ops[ref.node].name == "zero"


def emit(sequence: Sequence_, width: int, prefix: str) -> Emitted:
    """The graph of a sub-block of `width` channels whose weights are under `prefix`.

    Raises:
        ConvertError: something in it that our graphs cannot say.
    """
    writer = _Writer(width)
    (output,) = writer.sequence(sequence, (writer.builder.input,), (f"{prefix}.sequential",))
    graph = writer.builder.build(output)
    try:
        graph.infer(width)
    except GenotypeError as error:
        path = sequence[0].path.rpartition(".modules")[0] if sequence else ""
        raise ConvertError(f"the sequence does not keep its shape: {error.message}", path) from None
    reached = reached_from_output(graph)
    cut = [node for node in graph.live if node not in reached]
    if cut:
        raise ConvertError(
            "what feeds this Zero computes for nothing, which our graphs cannot say", writer.paths[cut[0]]
        )
    return Emitted(graph, writer.links, writer.unused, writer.masks, INPUT not in reached)


def reached_from_output(graph: BlockGraph) -> set[str]:
    """What the output depends on: all that leads to it, but nothing through a zero."""
    found: set[str] = set()
    frontier = [graph.sources[OUTPUT][0].node]
    while frontier:
        node = frontier.pop()
        if node in found:
            continue
        found.add(node)
        if node != INPUT and graph.ops[node].name != "zero":
            frontier += [ref.node for ref in graph.sources[node]]
    return found


def can_batch(sequence: Sequence_, bias: bool) -> bool:
    """Whether a sequence that several heads have alike is one sequence on all of their channels.

    Args:
        bias: whether a head has a single channel here, on the pair grid, where tables of biases lie side by side.
    """
    for node in sequence:
        if node.kind in ("RelPosBias",):
            if not bias:
                return False
        elif node.kind in ("ExpandAndReduce", "ReduceAndExpand", "AvgAndUpsample"):
            if not can_batch(node.sequences("sequential")[0], False):
                return False
        elif node.kind == "ForkMerge" and node.pair[0] == "copy":
            if not all(can_batch(branch, bias) for branch in node.sequences("branches")):
                return False
        elif node.kind == "SequentialModule":
            if not can_batch(node.sequences("modules")[0], bias):
                return False
        elif node.kind not in _EACH:
            return False
    return True


_EACH = (
    *("BatchNorm", "Conv1", "Conv3", "ConvDepth3", "ConvDepth5", "Dropout", "GELU", "Identity"),
    *("Mask", "MaxPool", "Sigmoid", "Softmax"),
)
"""Nodes that do the same to each head's channels."""
_PLAIN = {"GELU": "gelu", "Sigmoid": "sigmoid", "Dropout": "dropout"}
_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@dataclass
class _Writer:
    width: int
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    links: list[Link] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    masks: dict[str, Grid] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values: dict[Ref, Value] = {self.builder.input: Value(self.width)}

    def sequence(self, nodes: Sequence_, xs: Values, prefixes: Prefixes) -> Values:
        """Writes nodes one behind the other; `xs` are several where a chunk or a copy has no merge yet."""
        start = max((i for i, node in enumerate(nodes) if node.kind == "Zero"), default=0)
        if start:
            self.unused += [f"{prefix}.{i}." for prefix in prefixes for i in range(start)]
        for i, node in enumerate(nodes[start:], start):
            xs = self.node(node, xs, tuple(f"{prefix}.{i}" for prefix in prefixes))
        return xs

    def node(self, node: Node, xs: Values, at: Prefixes) -> Values:
        try:
            write = getattr(self, f"_{node.kind}", None)
            if write is not None:
                return write(node, xs, at)
            x = self.one(node, xs)
            if node.kind == "Identity":
                return xs
            return (self.add(node, _PLAIN[node.kind], x),)
        except GenotypeError as error:
            raise ConvertError(f"{node.kind}: {error.message}", node.path) from None

    def one(self, node: Node, xs: Values) -> Ref:
        if len(xs) != 1:
            raise ConvertError(f"{node.kind} takes one tensor, and is given {len(xs)}", node.path)
        return xs[0]

    def add(self, node: Node, op: str, *inputs: Ref, **attributes: Any) -> Ref:
        ref = self.builder.add(op, *inputs, **attributes)
        self.paths[ref.node] = node.path
        outputs = self.builder.ops[ref.node].infer(tuple(self.values[each] for each in inputs))
        self.values.update((Ref(ref.node, port), value) for port, value in enumerate(outputs))
        return ref

    def link(self, ref: Ref, at: Prefixes, module: str, *tensors: str) -> Ref:
        """Says that tensors of a node are those of the module of that name there."""
        for tensor in tensors:
            theirs = tuple(f"{prefix}.{module}.{tensor}" for prefix in at)
            self.links.append(Link(f"{ref.node}.{tensor}", theirs))
        return ref

    def grid(self, x: Ref) -> Grid:
        return self.values[x].grid

    def conv(self, node: Node, x: Ref, at: Prefixes, module: str, ratio: object = 1, kernel: int = 1) -> Ref:
        op = "conv" if kernel == 1 or self.grid(x) is Grid.FULL else "any_conv"
        ref = self.add(node, op, x, kernel=kernel, ratio=ratio, groups=len(at))
        return self.link(ref, at, module, "weight", "bias")

    # One method for each class of theirs that is more than an operation of the same name.

    def _Conv1(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return (self.conv(node, self.one(node, xs), at, "conv"),)

    def _Conv3(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return (self.conv(node, self.one(node, xs), at, "conv", kernel=3),)

    def _ConvExp3(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return (self.conv(node, self.one(node, xs), at, "conv", ratio=3),)

    def _ConvDepth3(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        op = "dwconv" if self.grid(x) is Grid.FULL else "any_dwconv"
        return (self.link(self.add(node, op, x, kernel=int(node.kind[-1])), at, "conv", "weight"),)

    _ConvDepth5 = _ConvDepth3

    def _BatchNorm(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        op = "any_batch_norm" if self.grid(x) is Grid.POINT else "batch_norm"
        return (self.link(self.add(node, op, x), at, "bn", *_NORM_TENSORS),)

    def _LayerNorm(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        plain = self.grid(x) is not Grid.PAIR and self.values[x].channels > 1
        return (self.link(self.add(node, "layer_norm" if plain else "any_layer_norm", x), at, "ln", "weight", "bias"),)

    def _Softmax(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        return (self.add(node, "point_softmax" if self.grid(x) is Grid.POINT else "softmax", x),)

    def _MaxPool(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        if self.grid(x) is Grid.POINT:  # the maximum of one number
            return xs
        return (self.add(node, "max_pool" if self.grid(x) is Grid.FULL else "any_max_pool", x),)

    def _Mask(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        self.masks.update((f"{prefix}.mask", self.grid(x)) for prefix in at)
        return xs if self.grid(x) is Grid.POINT else (self.add(node, "mask", x, band=BAND),)

    def _RelPosBias(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        own = self.grid(x) is Grid.PAIR and self.values[x].channels == len(at)
        ref = self.add(node, "rel_pos_bias" if own else "shared_pos_bias", x, size=node.number)
        tables = tuple(f"{prefix}.relative_position_bias_table" for prefix in at)
        self.links.append(Link(f"{ref.node}.table", tables))
        return (ref,)

    def _Zero(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x, start = self.one(node, xs), self.builder.input
        # Nothing before a zero is used, so it hangs on the input where that has the same shape.
        return (self.add(node, "zero", start if self.values[x] == self.values[start] else x),)

    def _ExpandAndReduce(self, node: Node, xs: Values, at: Prefixes) -> Values:
        ratios = (node.number, f"1/{node.number}")
        if node.kind == "ReduceAndExpand":
            ratios = ratios[::-1]
        x = self.conv(node, self.one(node, xs), at, "resize1", ratios[0])
        x = self.inner(node, "sequential", x, at)
        return (self.conv(node, x, at, "resize2", ratios[1]),)

    _ReduceAndExpand = _ExpandAndReduce

    def _AvgAndUpsample(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        if self.grid(x) is Grid.POINT:  # its own average
            return (self.inner(node, "sequential", x, at),)
        average, back = ("global_avg_pool", "upsample")
        if self.grid(x) is Grid.PAIR:
            average, back = ("pair_avg_pool", "pair_upsample")
        return (self.add(node, back, self.inner(node, "sequential", self.add(node, average, x), at)),)

    def _SequentialModule(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return self.sequence(node.sequences("modules")[0], xs, tuple(f"{prefix}.sequential" for prefix in at))

    def inner(self, node: Node, name: str, x: Ref, at: Prefixes) -> Ref:
        """The sequence that a node holds under a name."""
        found = self.sequence(node.sequences(name)[0], (x,), tuple(f"{prefix}.{name}.sequential" for prefix in at))
        return self.one(node, found)

    def _ForkMerge(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x, (fork, merge), count = self.one(node, xs), node.pair, node.number
        if fork == "convexp3":
            x = self.conv(node, x, tuple(f"{prefix}.func_fork.fork.sequential.0" for prefix in at), "conv", ratio=3)
        copies = (x,) * count
        if fork in ("chunk", "convexp3") and count > 1:
            copies = self.builder.ports(self.add(node, "chunk", x, parts=count))
        outs = []
        for i, (branch, start) in enumerate(zip(node.sequences("branches"), copies)):
            found = self.sequence(branch, (start,), tuple(f"{prefix}.branches.{i}.sequential" for prefix in at))
            outs.append(self.one(node, found))
        if merge == "matmul":
            return (self.mix(node, self.affinities(node, outs[0], outs[1], 1), outs[2], 1),)
        return (outs[0] if count == 1 else self.add(node, merge, *outs),)

    def affinities(self, node: Node, q: Ref, k: Ref, heads: int) -> Ref:
        op = "point_matmul1" if self.grid(q) is Grid.POINT else "matmul1"
        return self.add(node, op, q, k, heads=heads)

    def mix(self, node: Node, a: Ref, v: Ref, heads: int) -> Ref:
        op = "point_matmul2" if self.grid(v) is Grid.POINT else "matmul2"
        return self.add(node, op, a, v, heads=heads)

    def _ForkMergeAttention(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x, (prefix,) = self.one(node, xs), at
        branches, connections = node.sequences("branches"), node.sequences("connections")
        width, heads = self.values[x].channels, len(connections)
        if width != HEAD_WIDTH * heads or heads not in HEADS:
            message = f"{heads} heads of {HEAD_WIDTH} channels on {width}: their package takes {HEADS} heads"
            raise ConvertError(message, node.path)
        groups = self.groups(node, self.grid(x) is Grid.POINT)
        qkv = self.add(node, "conv", x, ratio=3)
        order = None
        if len(groups) == 1:  # queries of all heads, then keys, then values
            rows = range(HEAD_WIDTH)
            order = tuple((3 * i + k) * HEAD_WIDTH + row for k in range(3) for i in range(heads) for row in rows)
        self.links += [Link(f"{qkv.node}.{name}", (f"{prefix}.qkv.conv.{name}",), order) for name in ("weight", "bias")]
        pieces = self.builder.ports(self.add(node, "chunk", qkv, parts=3 if len(groups) == 1 else 3 * heads))
        outs: dict[int, Ref] = {}
        for group in groups:
            streams = []
            for k in range(3):
                own = [pieces[3 * i + k] for i in group] if len(groups) > 1 else [pieces[k]]
                start = self.add(node, "concat", *own) if len(own) > 1 else own[0]
                names = tuple(f"{prefix}.branches.{3 * i + k}.sequential" for i in group)
                streams.append(self.one(node, self.sequence(branches[3 * group[0] + k], (start,), names)))
            a = self.affinities(node, streams[0], streams[1], len(group))
            names = tuple(f"{prefix}.connections.{i}.sequential" for i in group)
            a = self.one(node, self.sequence(connections[group[0]], (a,), names))
            out = self.mix(node, a, streams[2], len(group))
            names = tuple(f"{prefix}.post_branches.{i}.sequential" for i in group)
            out = self.one(node, self.sequence(node.sequences("post_branches")[group[0]], (out,), names))
            if len(groups) == 1:
                return (out,)
            parts = self.builder.ports(self.add(node, "chunk", out, parts=len(group))) if len(group) > 1 else (out,)
            outs.update(zip(group, parts))
        return (self.add(node, "concat", *(outs[i] for i in range(heads))),)

    def groups(self, node: Node, point: bool) -> list[list[int]]:
        """Heads that are built alike, where they can be one operation; the others alone."""
        branches, connections = node.sequences("branches"), node.sequences("connections")
        posts = node.sequences("post_branches")
        found: dict[object, list[int]] = {}
        for i, connection in enumerate(connections):
            others = (*branches[3 * i : 3 * i + 3], posts[i])
            alike = can_batch(connection, not point) and all(can_batch(sequence, False) for sequence in others)
            found.setdefault((others, connection) if alike else i, []).append(i)
        return list(found.values())

    # What a chunk, a copy or two matrices leave behind in a sequence, where the file has no ForkMerge around them.

    def _Chunk(self, node: Node, xs: Values, at: Prefixes) -> Values:
        x = self.one(node, xs)
        return xs if node.number == 1 else self.builder.ports(self.add(node, "chunk", x, parts=node.number))

    def _Copy(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return (self.one(node, xs),) * node.number

    def _ForkModule(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return {"": lambda *_: xs, "chunk": self._Chunk, "copy": self._Copy}[node.pair[0]](node, xs, at)

    def _Concat(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return xs if len(xs) == 1 else (self.add(node, "concat", *xs),)

    def _Multiply(self, node: Node, xs: Values, at: Prefixes) -> Values:
        return (self.add(node, "multiply", *xs),)

    def _MatmulLeft(self, node: Node, xs: Values, at: Prefixes) -> Values:
        if len(xs) != 2:
            raise ConvertError(f"MatmulLeft takes two tensors, and is given {len(xs)}", node.path)
        return (self.affinities(node, *xs, 1),)

    def _MatmulRight(self, node: Node, xs: Values, at: Prefixes) -> Values:
        raise ConvertError("a lone MatmulRight is not converted; write a MergeModule with matmul", node.path)

    def _MergeModule(self, node: Node, xs: Values, at: Prefixes) -> Values:
        merge = node.pair[0]
        if merge == "matmul":
            if len(xs) != 3:
                raise ConvertError(f"matmul merges three tensors, and is given {len(xs)}", node.path)
            a = self.inner(node, "process", self.affinities(node, xs[0], xs[1], 1), at)
            return (self.mix(node, a, xs[2], 1),)
        if len(xs) == 1:
            return xs
        return (self.add(node, merge or "concat", *xs),)
