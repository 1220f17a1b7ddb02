"""A block graph taken apart for editing: two dictionaries that moves change, then built back.

    ops      node -> its operation
    sources  node (and "output") -> the ports that feed it

An edge is named by its consumer and position: `("conv_2", 0)` is what feeds the first input of conv_2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

from ...genotype import INPUT, OUTPUT, BlockGraph, Ref
from ...genotype.graph import fresh_id
from ...ops import Op, Value

Edge = tuple[str, int]


@dataclass(frozen=True)
class Region:
    """A stretch of a graph that is entered from one port and leaves through one port; maybe a bare edge."""

    entry: Ref
    """The port that feeds the stretch."""
    inner: tuple[Edge, ...]
    """The edges from `entry` into the stretch; none for a bare edge."""
    exit: Ref
    """The port that the rest of the graph reads; `entry` for a bare edge."""
    outer: tuple[Edge, ...]
    """The edges from `exit` out of the stretch."""


class GraphEditor:
    """An editable copy of a block graph for a stage of `width` channels.

    `values` and `order` are those of the graph that was taken apart; edits do not update them.
    """

    def __init__(self, graph: BlockGraph, width: int) -> None:
        self.width = width
        self.ops: dict[str, Op] = dict(graph.ops)
        self.sources: dict[str, tuple[Ref, ...]] = dict(graph.sources)
        self.values: Mapping[Ref, Value] = graph.infer(width)
        self.order: tuple[str, ...] = graph.flow_order

    def edges(self) -> list[Edge]:
        """Every edge, in file order."""
        return [(node, position) for node, refs in self.sources.items() for position in range(len(refs))]

    def ref(self, edge: Edge) -> Ref:
        """The port that feeds an edge."""
        return self.sources[edge[0]][edge[1]]

    def inputs(self, node: str) -> tuple[Value, ...]:
        """The values that feed a node."""
        return tuple(self.values[ref] for ref in self.sources[node])

    def users(self, ref: Ref) -> list[Edge]:
        """The edges that a port feeds."""
        return [(node, i) for node, refs in self.sources.items() for i, source in enumerate(refs) if source == ref]

    def add(self, op: Op, *inputs: Ref) -> Ref:
        """A new node; returns its first port."""
        node = fresh_id(op.name, self.ops)
        self.ops[node] = op
        self.sources[node] = inputs
        return Ref(node)

    def ports(self, ref: Ref) -> tuple[Ref, ...]:
        """All ports of a node."""
        return tuple(Ref(ref.node, port) for port in range(self.ops[ref.node].outputs))

    def connect(self, edges: Iterable[Edge], ref: Ref) -> None:
        """Feeds edges from another port."""
        for node, position in edges:
            refs = self.sources[node]
            self.sources[node] = (*refs[:position], ref, *refs[position + 1 :])

    def bypass(self, node: str, position: int = 0) -> None:
        """Feeds whatever reads the first port of `node` from one of its inputs instead."""
        self.connect(self.users(Ref(node)), self.sources[node][position])

    def through(self, region: Region, start: Ref) -> Ref:
        """Feeds a region from `start`; returns the port where it comes out."""
        self.connect(region.inner, start)
        return region.exit if region.inner else start

    def bare(self, edge: Edge) -> Region:
        """An edge as a region."""
        return Region(self.ref(edge), (), self.ref(edge), (edge,))

    def regions_ending_at(self, node: str) -> list[Region]:
        """All regions whose exit is the only port of `node`, the shortest first.

        Starting from the node alone, the latest producer outside is taken in again and again; whenever one port feeds
        all that has been taken in, that is a region, provided that nothing else in it is read outside. (A producer
        taken in too early would lie behind the entry, so no region is missed.)
        """
        if self.ops[node].outputs > 1:
            return []
        position = {name: i for i, name in enumerate(self.order)}
        readers: dict[str, set[str]] = {}
        for reader, refs in self.sources.items():
            for ref in refs:
                readers.setdefault(ref.node, set()).add(reader)
        taken, outside = {node}, set(self.sources[node])
        found = []
        while True:
            private = all(readers[name] <= taken for name in taken if name != node)
            if len(outside) == 1 and private:
                found.append(self._region(next(iter(outside)), Ref(node), taken))
            producers = {ref.node for ref in outside} - {INPUT}
            if not producers:
                return found
            latest = max(producers, key=position.__getitem__)
            taken.add(latest)
            outside = {ref for ref in outside if ref.node != latest} | set(self.sources[latest])

    def _region(self, entry: Ref, exit: Ref, taken: set[str]) -> Region:
        inner = tuple(edge for edge in self.users(entry) if edge[0] in taken)
        return Region(entry, inner, exit, tuple(self.users(exit)))

    def any_region(self, rng: Random) -> Region | None:
        """A random region with nodes in it: a random last node, then one of the regions that end there."""
        regions = self.regions_ending_at(rng.choice(self.order)) if self.order else []
        return rng.choice(regions) if regions else None

    def flow(self) -> list[str]:
        """The nodes from which the output can be reached, producers first, chains in one piece."""
        found: dict[str, None] = {}
        seen: set[str] = {INPUT}
        stack = [(OUTPUT, False)]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                found[node] = None
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((ref.node, False) for ref in reversed(self.sources[node]))
        del found[OUTPUT]
        return list(found)

    def build(self) -> BlockGraph:
        """The edited graph without dead nodes.

        Raises:
            GenotypeError: the edits left something that is not a graph.
        """
        nodes = self.flow()
        ops = {node: self.ops[node] for node in nodes}
        return BlockGraph.from_sources(ops, {node: self.sources[node] for node in (*nodes, OUTPUT)})
