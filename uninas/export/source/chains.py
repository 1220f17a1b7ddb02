"""Attention in a graph: what can be one call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ...genotype import OUTPUT, BlockGraph, Ref


@dataclass(frozen=True)
class Chain:
    """matmul1 [+ biases] + softmax + matmul2 whose inner values nobody else needs."""

    inputs: tuple[Ref, Ref, Ref]
    biases: tuple[str, ...]
    nodes: tuple[str, ...]
    """All but the last."""


def attention_chains(graph: BlockGraph) -> dict[str, Chain]:
    """The chain that ends in each matmul2 that has one."""
    uses = Counter(ref for node in (*graph.live, OUTPUT) for ref in graph.sources[node])
    found = {}
    for node in graph.live:
        if graph.ops[node].name == "matmul2":
            chain = _chain(graph, node, uses)
            if chain is not None:
                found[node] = chain
    return found


def _chain(graph: BlockGraph, node: str, uses: Counter[Ref]) -> Chain | None:
    def op(ref: Ref) -> Any:
        return graph.ops.get(ref.node) if uses[ref] == 1 else None

    weights, mixed = graph.sources[node]
    if getattr(op(weights), "name", "") != "softmax":
        return None
    nodes, biases = [weights.node], []
    (scores,) = graph.sources[weights.node]
    while _is_additive(op(scores)):
        biases.append(scores.node)
        (scores,) = graph.sources[scores.node]
    if getattr(op(scores), "name", "") != "matmul1":
        return None
    query, key = graph.sources[scores.node]
    return Chain((query, key, mixed), tuple(reversed(biases)), (*nodes, *biases, scores.node))


def _is_additive(op: Any) -> bool:
    name = getattr(op, "name", "")
    return name == "rel_pos_bias" or (name == "mask" and op.attributes()["fill"] == "exclude")
