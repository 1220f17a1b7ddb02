"""Cells as in NAS-Bench-201: a small graph whose every edge has one of a few operations, repeated in a fixed network.

An architecture string names the operation of every edge, node by node, each with the node it comes from:

    |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|

A node is the sum of what its edges bring. What the file of such a space says is in `spaces/nasbench201.yaml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_serializer, model_validator

from ... import resources
from ...errors import GenotypeError, SpaceError, nearest
from ...genotype import Block, BlockGraph, Genotype, GraphBuilder, Ref, Stage
from ...ops import make
from .choices import Choice, ChoiceFile, ChoiceSpace, Chosen


class Edge(NamedTuple):
    """One edge of a cell."""

    source: int
    target: int
    op: str


class CellFile(ChoiceFile):
    """The file of a space of cells."""

    kind: Literal["cells"]
    nodes: int = Field(ge=2)
    """Of a cell: the first is its input, the last its output, and an edge leads from every node to every later one."""
    edges: dict[str, list[dict[str, Any]] | None]
    """The chain of operations behind each option of an edge; an empty one is the identity, None brings nothing."""
    network: dict[str, Any]
    """A genotype in the layout of its file: the network around the cells, with any graph in their place."""
    only: frozenset[str] | None = Field(None, min_length=1)
    """Architecture strings of the networks that the space has, such as those that a table knows; null: all."""

    @field_serializer("only")
    def _sorted(self, only: frozenset[str] | None) -> list[str] | None:
        return None if only is None else sorted(only)

    @model_validator(mode="after")
    def _check(self) -> CellFile:
        if not any(chain is not None for chain in self.edges.values()):
            raise ValueError("edges: at least one option must bring something, all are null")
        for name, chain in self.edges.items():
            if not name or set(name) & set("|~+"):
                raise ValueError(f"edges: {name!r} cannot be written in an architecture string: leave out | ~ +")
            for i, written in enumerate(chain or ()):
                path = f"edges.{name}[{i}]"
                if "op" not in written:
                    raise ValueError(f"{path}.op: is missing")
                try:
                    make(written["op"], {key: value for key, value in written.items() if key != "op"})
                except GenotypeError as error:
                    raise ValueError(str(error.under(path))) from None
        try:
            Genotype.from_dict(self.network)
        except GenotypeError as error:
            raise ValueError(str(error.under("network"))) from None
        return self


class CellSpace(ChoiceSpace):
    """A space of cells. A genotype's name is its architecture string."""

    specification: CellFile

    def __init__(self, specification: CellFile) -> None:
        self.edges = specification.edges
        """The chain of operations behind each option of an edge; None brings nothing."""
        self.network = Genotype.from_dict(specification.network)
        """The network around the cells, with any graph in their place."""
        pairs = [(source, target) for target in range(1, specification.nodes) for source in range(target)]
        self.choices = tuple(Choice(f"edge {s} -> {t}", tuple(self.edges), "change_edge") for s, t in pairs)
        self.places = pairs
        super().__init__(specification)

    @classmethod
    def from_dict(cls, data: object) -> CellSpace:
        """A space from plain data in the layout of the file. Raises SpaceError, with the path of the key."""
        return cls(resources.parse(data, CellFile, SpaceError))

    def parse(self, text: str) -> Chosen:
        if not isinstance(text, str):
            raise SpaceError(f"an architecture is a string such as |none~0|+..., got {type(text).__name__}")
        nodes = text.strip().split("+")
        expected = self.specification.nodes - 1
        if len(nodes) != expected:
            raise SpaceError(f"{text!r} describes {len(nodes)} nodes behind the input, not {expected}")
        ops = []
        for target, written in enumerate(nodes, start=1):
            entries = written.split("|")
            if len(entries) != target + 2 or entries[0] or entries[-1]:
                example = "|" + "|".join(f"op~{source}" for source in range(target)) + "|"
                raise SpaceError(f"node {target} of {text!r} is written {example}, got {written!r}")
            for source, entry in enumerate(entries[1:-1]):
                op, _, origin = entry.partition("~")
                if origin != str(source):
                    raise SpaceError(f"edge {source} of node {target} of {text!r} comes from {source}, got {entry!r}")
                if op not in self.edges:
                    raise SpaceError(f"{text!r}: there is no {op!r}; {nearest(op, self.edges)}")
                ops.append(op)
        return tuple(ops)

    def decode(self, chosen: Chosen) -> Genotype:
        """The network with this cell in every block.

        Raises:
            SpaceError: nothing reaches the cell's output, or the space has `only` others.
        """
        only = self.specification.only
        if only is not None and self.write(chosen) not in only:
            raise SpaceError(f"{self.write(chosen)!r} is not among the {len(only)} networks of this space (only)")
        graph = self.cell(chosen)
        network = self.network
        try:
            stages = tuple(_filled(stage, graph) for stage in network.stages)
            return Genotype(stages, network.stem, network.head, name=self.write(chosen))
        except GenotypeError as error:
            raise SpaceError(f"{self.write(chosen)!r} does not fit into the network: {error}") from None

    def write(self, chosen: Chosen) -> str:
        """The architecture string."""
        entries: dict[int, list[str]] = {}
        for source, target, op in self.edge_list(chosen):
            entries.setdefault(target, []).append(f"{op}~{source}")
        return "+".join(f"|{'|'.join(found)}|" for found in entries.values())

    def edge_list(self, chosen: Chosen) -> list[Edge]:
        """All edges, by target and then by source."""
        return [Edge(source, target, op) for (source, target), op in zip(self.places, chosen)]

    def on_paths(self, chosen: Chosen) -> list[Edge]:
        """The edges on a path from the first node to the last on which every edge brings something, in order."""
        present = [edge for edge in self.edge_list(chosen) if self.edges[edge.op] is not None]
        reached, useful = {0}, {self.specification.nodes - 1}
        for edge in present:  # by target, so a node is complete before it is a source
            if edge.source in reached:
                reached.add(edge.target)
        for edge in reversed(present):
            if edge.target in useful:
                useful.add(edge.source)
        return [edge for edge in present if edge.source in reached and edge.target in useful]

    def is_complete(self, chosen: Chosen) -> bool:
        """Whether every edge that brings something lies on a path from input to output."""
        return len(self.on_paths(chosen)) == sum(self.edges[op] is not None for op in chosen)

    def cell(self, chosen: Chosen) -> BlockGraph:
        """The cell as a block graph. Edges on no path from input to output are left out; sums are flat.

        Raises:
            SpaceError: nothing reaches the output.
        """
        edges = self.on_paths(chosen)
        if not edges:
            raise SpaceError(f"nothing reaches the output of {self.write(chosen)!r}: every path has an edge `none`")
        b = GraphBuilder()
        terms: dict[int, list[Ref]] = {0: [b.input]}  # what each node is the sum of
        values: dict[int, Ref] = {}

        def value(node: int) -> Ref:
            if node not in values:
                summands = terms[node]
                values[node] = summands[0] if len(summands) == 1 else b.add("add", *summands, id=f"node_{node}")
            return values[node]

        for source, target, op in edges:
            chain = self.edges[op] or []
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
    names: set[str] = set()
    for written in chain:
        op = written["op"]
        name = op if op not in names else f"{op}_{len(names)}"
        names.add(name)
        x = b.add(op, x, id=f"{name}_{suffix}", **{key: value for key, value in written.items() if key != "op"})
    return x


def _filled(stage: Stage, cell: BlockGraph) -> Stage:
    blocks = [Block(tuple(replace(sub, graph=cell) for sub in block.subblocks)) for block in stage.blocks]
    return replace(stage, blocks=tuple(blocks))
