"""The block graph: a frozen networkx.MultiDiGraph with one input, one output, and an operation at every other node.

    nodes   "input", "output", and ids of one's choice; data: op=<name>, and the operation's attributes
    edges   data: out_port of the producer, in_port of the consumer (always 0 where the order of inputs has no meaning)

A port may feed many consumers: that is Copy. Values have no baked-in size; `infer` gives them for a channel count.
"""

from __future__ import annotations

import hashlib
import json
import keyword
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import networkx as nx

from ..errors import GenotypeError
from ..ops import Op, Size, Value, make
from .canonical import canonical_order

INPUT, OUTPUT = "input", "output"
# fmt: off
TAKEN_IDS = frozenset((
    "T_destination", "add_module", "add_submodule", "apply", "bfloat16", "buffers", "call_super_init", "children",
    "code", "compile", "cpu", "cuda", "delete_all_unused_submodules", "delete_submodule", "double", "dump_patches",
    "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule",
    "graph", "half", "ipu", "load_state_dict", "meta", "modules", "mtia", "named_buffers", "named_children",
    "named_modules", "named_parameters", "parameters", "print_readable", "recompile", "register_backward_hook",
    "register_buffer", "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_load_state_dict_post_hook", "register_load_state_dict_pre_hook",
    "register_module", "register_parameter", "register_state_dict_post_hook", "register_state_dict_pre_hook",
    "requires_grad_", "set_extra_state", "set_submodule", "shape_env", "share_memory", "state_dict", "to", "to_empty",
    "to_folder", "train", "training", "type", "xpu", "zero_grad",
))
# fmt: on
"""Names that a compiled graph, an fx.GraphModule, needs for itself: written down, so that a file that is valid stays
so whatever version of torch reads it, and so that reading one needs no torch."""


class Ref(NamedTuple):
    """An output port of a node."""

    node: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.node}:{self.port}" if self.port else self.node


class Cost(NamedTuple):
    """Trainable parameters (scalars) and multiply-adds of one image."""

    params: int
    macs: int


def _refuse(*_: Any, **__: Any) -> Any:
    raise nx.NetworkXError("a block graph is frozen; edit graph.copy() and pass it to BlockGraph.from_networkx")


_MUTATORS = (
    *("add_node", "add_nodes_from", "remove_node", "remove_nodes_from", "clear", "clear_edges", "update"),
    *("add_edge", "add_edges_from", "add_weighted_edges_from", "remove_edge", "remove_edges_from"),
)


class _Data(dict):
    """The data of a node or an edge: read-only; a deep copy or a pickle of it is a plain dict."""

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)


class BlockGraph(nx.MultiDiGraph):
    """An immutable, validated block graph. Build one with `GraphBuilder`, `from_networkx` or `from_sources`.

    `BlockGraph()` without arguments is what networkx makes for itself (in `reverse` or `relabel_nodes`): an empty graph
    to be filled and given to `from_networkx`.
    """

    ops: Mapping[str, Op]
    """The operation of every node but input and output, in file order."""
    sources: Mapping[str, tuple[Ref, ...]]
    """What feeds every node but input, in input-port order."""
    _values: dict[int, Mapping[Ref, Value]]
    _costs: dict[tuple[int, Size], Cost]
    _node: dict[str, dict[str, Any]]  # networkx's own
    _succ: dict[str, dict[str, dict[int, dict[str, Any]]]]

    @classmethod
    def from_sources(cls, ops: Mapping[str, Op], sources: Mapping[str, Sequence[Ref]]) -> BlockGraph:
        """A graph from the operation and the inputs of each node; `sources` includes those of "output".

        Raises:
            GenotypeError: bad ids, dangling references, a wrong number of inputs, a cycle.
        """
        self = cls()
        self.ops = MappingProxyType(dict(ops))
        self.sources = MappingProxyType({node: tuple(sources.get(node, ())) for node in (*ops, OUTPUT)})
        _check_wiring(self.ops, self.sources)
        self._fill()
        self._values, self._costs = {}, {}
        _ = self.flow_order  # finds cycles
        return self

    @classmethod
    def from_networkx(cls, graph: nx.MultiDiGraph) -> BlockGraph:
        """A graph from any MultiDiGraph with the node and edge data described at the top of this file."""
        if isinstance(graph, BlockGraph) and "ops" in vars(graph):
            return graph
        if not isinstance(graph, nx.MultiDiGraph):
            raise GenotypeError(f"wants a networkx.MultiDiGraph, got {type(graph).__name__}")
        if graph.has_node(INPUT) and graph.in_degree(INPUT):
            raise GenotypeError("nothing may feed the input", f"nodes.{INPUT}")
        ops: dict[str, Op] = {}
        sources: dict[str, tuple[Ref, ...]] = {}
        for node, data in graph.nodes(data=True):
            if node == INPUT:
                continue
            path = OUTPUT if node == OUTPUT else f"nodes[{len(ops)}]"
            commutative = False
            if node != OUTPUT:
                attributes = {key: value for key, value in data.items() if key != "op"}
                try:
                    ops[node] = make(data.get("op"), attributes)  # type: ignore[arg-type]
                except GenotypeError as error:
                    raise error.under(path) from None
                commutative = ops[node].commutative
            sources[node] = _incoming(graph, node, path, commutative)
        return cls.from_sources(ops, sources)

    def _fill(self) -> None:
        """Writes the networkx side, once; from then on it is read-only."""
        self.add_node(INPUT, op=INPUT)
        for node, op in self.ops.items():
            self.add_node(node, op=op.name, **op.attributes())
        self.add_node(OUTPUT, op=OUTPUT)
        for node, refs in self.sources.items():
            commutative = node in self.ops and self.ops[node].commutative
            for port, ref in enumerate(refs):
                self.add_edge(ref.node, node, out_port=ref.port, in_port=0 if commutative else port)
        for node, data in self._node.items():
            self._node[node] = _Data(data)
        for consumers in self._succ.values():
            for edges in consumers.values():  # shared with the other direction, self._pred
                edges.update({key: _Data(data) for key, data in edges.items()})
        vars(self).update(dict.fromkeys(_MUTATORS, _refuse), frozen=True)  # what networkx.freeze does

    def copy(self, as_view: bool = False) -> nx.MultiDiGraph:
        """A plain, editable networkx copy."""
        plain = nx.MultiDiGraph()
        plain.add_nodes_from((node, dict(data)) for node, data in self.nodes(data=True))
        plain.add_edges_from((a, b, dict(data)) for a, b, data in self.edges(data=True))
        return plain

    @cached_property
    def flow_order(self) -> tuple[str, ...]:
        """All operation nodes, producers first; among the ready ones, in file order."""
        waiting = {node: {ref.node for ref in refs} - {INPUT} for node, refs in self.sources.items() if node != OUTPUT}
        consumers: dict[str, list[str]] = {}
        for node, producers in waiting.items():
            for producer in producers:
                consumers.setdefault(producer, []).append(node)
        missing = {node: len(producers) for node, producers in waiting.items()}
        order = [node for node, count in missing.items() if not count]
        for node in order:
            for consumer in consumers.get(node, ()):
                missing[consumer] -= 1
                if not missing[consumer]:
                    order.append(consumer)
        if len(order) < len(waiting):
            stuck = [node for node in waiting if missing[node]]
            cycle = " -> ".join(_cycle(stuck, waiting))
            raise GenotypeError(f"these nodes feed each other in a cycle: {cycle}", "nodes")
        return tuple(order)

    @cached_property
    def live(self) -> frozenset[str]:
        """Operation nodes from which the output can be reached; the others are dead and cost nothing."""
        found: set[str] = set()
        frontier = [OUTPUT]
        while frontier:
            for ref in self.sources[frontier.pop()]:
                if ref.node != INPUT and ref.node not in found:
                    found.add(ref.node)
                    frontier.append(ref.node)
        return frozenset(found)

    @cached_property
    def _canonical(self) -> tuple[tuple[str, ...], str]:
        """All nodes in canonical order, and the canonical hash."""
        names = [INPUT, *self.ops, OUTPUT]
        labels = [str(self.ops[name]) if name in self.ops else name for name in names]
        index = {name: i for i, name in enumerate(names)}
        edges = [(index[a], d["out_port"], index[b], d["in_port"]) for a, b, d in self.edges(data=True)]
        order, canonical_edges = canonical_order(labels, edges)
        text = json.dumps([[labels[i] for i in order], canonical_edges], separators=(",", ":"))
        return tuple(names[i] for i in order), hashlib.sha256(text.encode()).hexdigest()

    @property
    def key(self) -> str:
        """Canonical hash: equal exactly for graphs that differ only in ids, insertion order and the order of
        commutative inputs."""
        return self._canonical[1]

    @cached_property
    def canonical_order(self) -> tuple[str, ...]:
        """All operation nodes, producers first, in an order that depends on the structure only."""
        rank = {node: i for i, node in enumerate(self._canonical[0])}
        graph = nx.DiGraph((ref.node, node) for node, refs in self.sources.items() for ref in refs)
        graph.add_nodes_from(self.ops)
        ordered = nx.lexicographical_topological_sort(graph, key=rank.__getitem__)
        return tuple(node for node in ordered if node in self.ops)

    def infer(self, channels: int) -> Mapping[Ref, Value]:
        """The value at every port for an input of `channels` channels on the full grid.

        Raises:
            GenotypeError: an operation does not fit its inputs, or the output is not what came in; the path is the
                position of the node in file order.
        """
        if channels in self._values:
            return self._values[channels]
        values = {Ref(INPUT): Value(channels)}
        for node in self.flow_order:
            try:
                outputs = self.ops[node].infer(tuple(values[ref] for ref in self.sources[node]))
            except GenotypeError as error:
                raise error.under(self._path(node)) from None
            values.update((Ref(node, port), value) for port, value in enumerate(outputs))
        result = values[self.sources[OUTPUT][0]]
        if result != values[Ref(INPUT)]:
            raise GenotypeError(f"the graph gives {result}, but {values[Ref(INPUT)]} went in", "output")
        self._values[channels] = MappingProxyType(values)
        return self._values[channels]

    def inputs_of(self, node: str, channels: int) -> tuple[Value, ...]:
        """The values that go into `node` when `channels` channels go into the graph."""
        values = self.infer(channels)
        return tuple(values[ref] for ref in self.sources[node])

    def node_costs(self, channels: int, size: Size) -> dict[str, Cost]:
        """Cost of every live node for a width and an H x W."""
        inputs = {node: self.inputs_of(node, channels) for node in self.flow_order if node in self.live}
        return {n: Cost(self.ops[n].parameters(i), self.ops[n].macs(i, size)) for n, i in inputs.items()}

    def cost(self, channels: int, size: Size) -> Cost:
        """Total cost of the live nodes for a width and an H x W."""
        where = (channels, size)
        if where not in self._costs:
            costs = self.node_costs(channels, size).values()
            self._costs[where] = Cost(sum(c.params for c in costs), sum(c.macs for c in costs))
        return self._costs[where]

    def _path(self, node: str) -> str:
        return f"nodes[{list(self.ops).index(node)}]"

    def __reduce__(self) -> tuple:
        return BlockGraph.from_sources, (dict(self.ops), dict(self.sources))

    def __deepcopy__(self, memo: dict) -> BlockGraph:
        return self


def _incoming(graph: nx.MultiDiGraph, node: Any, path: str, commutative: bool) -> tuple[Ref, ...]:
    """What feeds `node`, in input-port order."""
    where = path if node == OUTPUT else f"{path}.inputs"
    edges = [
        (edge.get("in_port", 0), Ref(producer, edge.get("out_port", 0)))
        for producer, _, edge in graph.in_edges(node, data=True)
    ]
    for in_port, ref in edges:
        if type(in_port) is not int or type(ref.port) is not int:
            raise GenotypeError(f"ports are whole numbers, got {ref.port!r} -> {in_port!r} from {ref.node!r}", where)
    edges.sort(key=lambda edge: edge[0])
    ports = [in_port for in_port, _ in edges]
    if not commutative and ports != list(range(len(ports))):
        raise GenotypeError(f"input ports of {node!r} should be 0, 1, ..., got {ports}", where)
    return tuple(ref for _, ref in edges)


def _check_wiring(ops: Mapping[str, Op], sources: Mapping[str, tuple[Ref, ...]]) -> None:
    """Ids, references and numbers of inputs."""
    for index, node in enumerate(ops):
        _check_id(node, f"nodes[{index}].id")
    for index, (node, refs) in enumerate(sources.items()):
        path = OUTPUT if node == OUTPUT else f"nodes[{index}]"
        for position, ref in enumerate(refs):
            where = path if node == OUTPUT else f"{path}.inputs[{position}]"
            if ref.node != INPUT and ref.node not in ops:
                raise GenotypeError(f"there is no node {ref.node!r}", where)
            ports = 1 if ref.node == INPUT else ops[ref.node].outputs
            if not 0 <= ref.port < ports:
                raise GenotypeError(f"{ref.node!r} has output ports 0 to {ports - 1}, not {ref.port}", where)
        arity = 1 if node == OUTPUT else ops[node].arity
        if len(refs) < 2 if arity is None else len(refs) != arity:
            wanted = "two or more inputs" if arity is None else f"{arity} input(s)"
            what = "the output" if node == OUTPUT else f"{ops[node].name} {node!r}"
            raise GenotypeError(f"{what} takes {wanted}, got {len(refs)}", path if node == OUTPUT else f"{path}.inputs")


def _check_id(node: str, path: str) -> None:
    if node in (INPUT, OUTPUT):
        raise GenotypeError(f"{node!r} is the name of the graph's own {node}", path)
    plain = isinstance(node, str) and node.isidentifier() and node.isascii()  # Python folds other letters: ﬁ is fi
    if not plain or keyword.iskeyword(node) or node.startswith("_"):
        raise GenotypeError(f"an id is a Python identifier such as 'conv_2', got {node!r}", path)
    if node in TAKEN_IDS:
        raise GenotypeError(f"{node!r} is taken by torch.fx.GraphModule; write {node + '_1'!r}", path)


def _cycle(stuck: Iterable[str], waiting: Mapping[str, set[str]]) -> list[str]:
    """One cycle among nodes that wait for each other, first node repeated at the end."""
    graph = nx.DiGraph((producer, node) for node in stuck for producer in waiting[node])
    edges = nx.find_cycle(graph)
    return [edge[0] for edge in edges] + [edges[-1][1]]


class GraphBuilder:
    """Writes a graph in the order of its data flow.

    b = GraphBuilder()
    x = b.add("conv", b.input, ratio=4)
    x = b.add("gelu", x)
    graph = b.build(b.add("conv", x, ratio="1/4"))
    """

    def __init__(self) -> None:
        self.ops: dict[str, Op] = {}
        self.sources: dict[str, tuple[Ref, ...]] = {}
        self.input = Ref(INPUT)

    def add(self, op: str | Op, *inputs: Ref, id: str | None = None, **attributes: Any) -> Ref:
        """Adds a node and returns its first output port; `ports` gives all of them.

        Raises:
            GenotypeError: the id is taken, or the operation or an attribute is not valid.
        """
        operation = op if isinstance(op, Op) else make(op, attributes)
        if id in self.ops:
            raise GenotypeError(f"there is a node {id!r} already; without an id the node gets one of its own", "nodes")
        node = id or fresh_id(operation.name, self.ops)
        self.ops[node] = operation
        self.sources[node] = inputs
        return Ref(node)

    def chain(self, x: Ref, *ops: str | Op | tuple[str, dict[str, Any]]) -> Ref:
        """Adds one-input nodes one behind the other: `b.chain(x, ("conv", {"kernel": 3}), "gelu")`."""
        for op in ops:
            x = self.add(op[0], x, **op[1]) if isinstance(op, tuple) else self.add(op, x)
        return x

    def ports(self, node: Ref) -> tuple[Ref, ...]:
        """All output ports of a node, such as a chunk's."""
        return tuple(Ref(node.node, port) for port in range(self.ops[node.node].outputs))

    def build(self, output: Ref) -> BlockGraph:
        """The finished graph."""
        return BlockGraph.from_sources(self.ops, {**self.sources, OUTPUT: (output,)})


def fresh_id(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name_2`, `name_3`, ...: the first that is not taken."""
    if name not in taken and name not in TAKEN_IDS:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
