"""NAS-Bench-201 in the graph language. The space itself is data: spaces/nasbench201.yaml.

An architecture string names the operation of every edge, node by node, each with the node it comes from:

    |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

from .. import resources
from ..errors import nearest
from ..genotype import Block, BlockGraph, Genotype, GraphBuilder, Ref, Stage
from ..genotype.frame import check_whole
from .errors import BenchmarkError


class Edge(NamedTuple):
    """One edge of a cell."""

    source: int
    target: int
    op: str


@dataclass(frozen=True)
class Space:
    """What the space's file says."""

    nodes: int
    edges: dict[str, list[dict[str, Any]] | None]
    """The chain of operations behind each edge's name; None brings nothing."""
    network: Genotype
    """The network around the cells, with the identity in their place."""


@lru_cache(maxsize=1)
def space() -> Space:
    """The space of spaces/nasbench201.yaml."""
    data = yaml.safe_load(resources.find("spaces", "nasbench201").read_text(encoding="utf-8"))
    return Space(data["nodes"], data["edges"], Genotype.from_dict(data["network"]))


def nasbench201(arch: str, num_classes: int = 10) -> Genotype:
    """The network of an architecture string: C = 16, N = 5, for images of 32 x 32 (and any other size).

    Only what can influence the output is there. An edge that lies on no path from the cell's input to its output is
    left out: what leads into a dead end, and what starts at a node that nothing reaches. Architectures without such
    edges (`is_complete`) have the official network's parameters. For the others the official network has more: it keeps
    the weights of dead ends, and it runs operations on nodes that are zero, where the shift of a batch norm - zero at
    initialisation - can become a learnt constant.

    Sums are flat and a skip is no operation, so architectures that are the same network have the same `key`.

    Args:
        arch: as in NAS-Bench-201 and NATS-Bench's topology space.
        num_classes: checked only: a genotype does not hold it. Give it to `uninas.build(genotype, num_classes)`.

    Raises:
        BenchmarkError: not an architecture string of the space, or no path leads to the output.
    """
    check_whole(num_classes, "num_classes")
    cell = cell_graph(arch)
    network = space().network
    return Genotype(tuple(_filled(stage, cell) for stage in network.stages), network.stem, network.head, name=arch)


def cell_graph(arch: str) -> BlockGraph:
    """The cell of an architecture string as a block graph.

    Raises:
        BenchmarkError: see `nasbench201`.
    """
    edges = on_paths(parse(arch))
    if not edges:
        raise BenchmarkError(f"nothing reaches the output of {arch!r}: every path has an edge `none`")
    b = GraphBuilder()
    terms: dict[int, list[Ref]] = {0: [b.input]}  # what each node is the sum of
    values: dict[int, Ref] = {}

    def value(node: int) -> Ref:
        if node not in values:
            summands = terms[node]
            values[node] = summands[0] if len(summands) == 1 else b.add("add", *summands, id=f"node_{node}")
        return values[node]

    for source, target, op in edges:
        chain = space().edges[op] or []
        found = [_chain(b, value(source), chain, f"{source}{target}")] if chain else terms[source]
        terms[target] = [*terms.get(target, []), *found]
    return _sums_in_order(b.build(value(edges[-1].target)))


def _sums_in_order(graph: BlockGraph) -> BlockGraph:
    """The same graph, its sums in an order of the structure: then equal keys give networks that round alike."""
    rank = {node: i for i, node in enumerate(graph.canonical_order)}

    def ordered(node: str) -> Sequence[Ref]:
        refs = graph.sources[node]
        commutative = node in graph.ops and graph.ops[node].commutative
        return sorted(refs, key=lambda ref: rank.get(ref.node, -1)) if commutative else refs

    return BlockGraph.from_sources(graph.ops, {node: ordered(node) for node in graph.sources})


def _chain(b: GraphBuilder, x: Ref, chain: Sequence[dict[str, Any]], suffix: str) -> Ref:
    for attributes in chain:
        op = attributes["op"]
        x = b.add(op, x, id=f"{op}_{suffix}", **{key: value for key, value in attributes.items() if key != "op"})
    return x


def _filled(stage: Stage, cell: BlockGraph) -> Stage:
    blocks = [Block(tuple(replace(sub, graph=cell) for sub in block.subblocks)) for block in stage.blocks]
    return replace(stage, blocks=tuple(blocks))


def parse(arch: str) -> list[Edge]:
    """All edges of an architecture string, `none` included, by target and then by source.

    Raises:
        BenchmarkError: the string is not of the space; the message says where.
    """
    if not isinstance(arch, str):
        raise BenchmarkError(f"an architecture is a string such as |none~0|+..., got {type(arch).__name__}")
    nodes = arch.strip().split("+")
    wanted = space().nodes - 1
    if len(nodes) != wanted:
        raise BenchmarkError(f"{arch!r} describes {len(nodes)} nodes behind the input, not {wanted}")
    edges = []
    for target, text in enumerate(nodes, start=1):
        entries = text.split("|")
        if len(entries) != target + 2 or entries[0] or entries[-1]:
            example = "|" + "|".join(f"op~{source}" for source in range(target)) + "|"
            raise BenchmarkError(f"node {target} of {arch!r} is written {example}, got {text!r}")
        for source, entry in enumerate(entries[1:-1]):
            op, _, origin = entry.partition("~")
            if origin != str(source):
                raise BenchmarkError(f"edge {source} of node {target} of {arch!r} comes from {source}, got {entry!r}")
            if op not in space().edges:
                raise BenchmarkError(f"{arch!r}: there is no {op!r}; {nearest(op, space().edges)}")
            edges.append(Edge(source, target, op))
    return edges


def on_paths(edges: Sequence[Edge]) -> list[Edge]:
    """The edges on a path from the first node to the last that has no `none` on it, in the same order."""
    present = [edge for edge in edges if space().edges[edge.op] is not None]
    reached, useful = {0}, {space().nodes - 1}
    for edge in present:  # by target, so a node is complete before it is a source
        if edge.source in reached:
            reached.add(edge.target)
    for edge in reversed(present):
        if edge.target in useful:
            useful.add(edge.source)
    return [edge for edge in present if edge.source in reached and edge.target in useful]


def is_complete(arch: str) -> bool:
    """Whether every edge but `none` lies on a path from input to output.

    True for 9,445 of the 15,625 architectures, which most published rankings use. One of these is the cell without any
    edge, for which there is no network.
    """
    edges = parse(arch)
    return len(on_paths(edges)) == sum(space().edges[edge.op] is not None for edge in edges)
