"""A sub-block as one graph, and what could be cut out of it.

    x + f(norm(x))   ->   frame_norm -> the nodes of f -> frame_residual

`flatten` makes norm, residual and activation of the frame nodes like all others; a `Cut` lets whatever reads a node
read something earlier instead, so that the node, and all that only it needed, is gone; `restore` makes a sub-block of
what is left. Nothing here decides whether a cut changes what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import GenotypeError
from ..genotype import INPUT, OUTPUT, BlockGraph, Ref, SubBlock
from ..genotype.graph import fresh_id
from ..ops import Add, Op, Value, make
from ..ops.layers import NORMS

Sources = Mapping[str, tuple[Ref, ...]]
"""What feeds each node, and the output."""


@dataclass(frozen=True)
class Part:
    """A flattened sub-block for a stage of `width` channels."""

    sub: SubBlock
    graph: BlockGraph
    width: int
    frame: Mapping[str, str]
    """ "norm", "residual" and "activation", where the graph has them -> their nodes."""


@dataclass(frozen=True)
class Cut:
    """Whatever reads `node` reads `to` instead; or, with `operand`, `node` stays and does without that input."""

    node: str
    """May be "output": then the whole sub-block goes."""
    to: Ref = Ref(INPUT)
    operand: int | None = None


def flatten(sub: SubBlock, width: int, downsamples: bool) -> Part:
    """The sub-block as one graph without dead nodes.

    Args:
        downsamples: the sub-block halves the resolution between its norm and its graph, so that norm and shortcut see
            another map than the graph does: they stay outside.
    """
    ops: dict[str, Op] = dict(sub.graph.ops)
    sources: dict[str, tuple[Ref, ...]] = dict(sub.graph.sources)
    frame: dict[str, str] = {}

    def put(role: str, op: Op, *inputs: Ref) -> Ref:
        frame[role] = fresh_id(f"frame_{role}", ops)
        ops[frame[role]], sources[frame[role]] = op, inputs
        return Ref(frame[role])

    if sub.norm and not downsamples:
        readers = list(sources)
        norm = put("norm", make(NORMS[sub.norm]), Ref(INPUT))
        sources.update({node: _swapped(sources[node], INPUT, norm) for node in readers})
    (out,) = sources[OUTPUT]
    if sub.residual and not downsamples:
        out = put("residual", Add(), Ref(INPUT), out)
    if sub.activation and not (sub.residual and downsamples):
        out = put("activation", make(sub.activation), out)
    return Part(sub, pruned(ops, {**sources, OUTPUT: (out,)}), width, frame)


def restore(part: Part, graph: BlockGraph) -> SubBlock | None:
    """The sub-block that `graph`, a part's graph after cuts, stands for; None where a sub-block cannot be so: its graph
    cannot read the input both with and without the norm."""
    ops, sources = dict(graph.ops), dict(graph.sources)
    changes: dict[str, str | bool | None] = {}
    (out,) = sources[OUTPUT]
    activation, residual, norm = (part.frame.get(role) for role in ("activation", "residual", "norm"))
    if activation in ops:
        (out,) = sources[activation]
    elif activation:
        changes["activation"] = None
    if residual in ops:
        out = sources[residual][1]
    elif residual:
        changes["residual"] = False
    inner = {node: op for node, op in ops.items() if node not in part.frame.values()}
    wiring = {**{node: sources[node] for node in inner}, OUTPUT: (out,)}
    if norm in ops:
        if any(ref.node == INPUT for refs in wiring.values() for ref in refs):
            return None
        wiring = {node: _swapped(refs, norm, Ref(INPUT)) for node, refs in wiring.items()}
    elif norm:
        changes["norm"] = None
    if any(ref.node in part.frame.values() for refs in wiring.values() for ref in refs):
        return None
    return replace(part.sub, graph=BlockGraph.from_sources(inner, wiring), **changes)


def rewired(sources: Sources, cut: Cut) -> Sources:
    """The sources after a cut; nodes that nobody reads any more are still there."""
    if cut.operand is not None:
        refs = sources[cut.node]
        return {**sources, cut.node: refs[: cut.operand] + refs[cut.operand + 1 :]}
    if cut.node == OUTPUT:
        return {**sources, OUTPUT: (cut.to,)}
    return {node: _swapped(refs, cut.node, cut.to) for node, refs in sources.items()}


def pruned(ops: Mapping[str, Op], sources: Sources) -> BlockGraph:
    """The graph of the nodes from which the output can be reached, in their old order."""
    seen, frontier = set(), [OUTPUT]
    while frontier:
        node = frontier.pop()
        if node != INPUT and node not in seen:
            seen.add(node)
            frontier.extend(ref.node for ref in sources[node])
    alive = {node: op for node, op in ops.items() if node in seen}
    return BlockGraph.from_sources(alive, {node: sources[node] for node in (*alive, OUTPUT)})


def _swapped(refs: tuple[Ref, ...], node: str, to: Ref) -> tuple[Ref, ...]:
    """References to the ports of `node` become references to `to` and the ports that follow it."""
    return tuple(Ref(to.node, to.port + ref.port) if ref.node == node else ref for ref in refs)


class Cuts:
    """The cuts of one graph that keep shapes: node by node, the smallest first."""

    def __init__(self, graph: BlockGraph, width: int) -> None:
        self.graph = graph
        self.values = graph.infer(width)

    def at(self, node: str) -> Iterator[Cut]:
        """All cuts at a node."""
        if self.graph.ops[node].outputs == 1:
            for ref in dict.fromkeys([*self.graph.sources[node], *self._entries(node)]):
                if self.values[ref] == self.values[Ref(node)]:
                    yield Cut(node, ref)
        twin = self._twin(node)
        if twin is not None:
            yield Cut(node, Ref(twin))
        yield from self._operands(node)

    def _entries(self, node: str) -> Iterator[Ref]:
        """The ports from which alone all comes that reaches `node`, the nearest first."""
        for other in reversed((INPUT, *self.graph.flow_order)):
            if other != node and other in self._dominators[node]:
                ports = 1 if other == INPUT else self.graph.ops[other].outputs
                yield from (Ref(other, port) for port in range(ports))

    @cached_property
    def _dominators(self) -> dict[str, frozenset[str]]:
        """node -> the nodes that every path from the input to it passes through, itself included."""
        found = {INPUT: frozenset([INPUT])}
        for node in self.graph.flow_order:
            before = [found[ref.node] for ref in self.graph.sources[node]]
            found[node] = frozenset.intersection(*before) | {node}
        return found

    def _twin(self, node: str) -> str | None:
        """An earlier node that computes the same from the same, without parameters."""
        op, refs = self.graph.ops[node], self.graph.sources[node]
        if op.parameters(tuple(self.values[ref] for ref in refs)):
            return None
        for other in self.graph.flow_order:
            if other == node:
                return None
            theirs = self.graph.sources[other]
            alike = sorted(theirs) == sorted(refs) if op.commutative else theirs == refs
            if alike and self.graph.ops[other] == op:
                return other
        return None

    def _operands(self, node: str) -> Iterator[Cut]:
        """Inputs of a merge of three or more that it could do without."""
        op, refs = self.graph.ops[node], self.graph.sources[node]
        for position in range(len(refs)) if op.arity is None and len(refs) > 2 else ():
            rest = tuple(self.values[ref] for ref in (*refs[:position], *refs[position + 1 :]))
            if _gives(op, rest, self.values[Ref(node)]):
                yield Cut(node, operand=position)


def _gives(op: Op, inputs: tuple[Value, ...], output: Value) -> bool:
    try:
        return op.infer(inputs) == (output,)
    except GenotypeError:
        return False
