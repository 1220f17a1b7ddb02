"""Attention heads in a graph: numbers of heads that follow a change of width, or of one matmul1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...genotype import INPUT, BlockGraph, Ref
from ...ops import Matmul1, Matmul2, Op, Value

HeadRule = Callable[[str, Matmul1, Value], int]
"""(node, operation, its input) -> number of heads."""


def with_heads(graph: BlockGraph, width: int, rule: HeadRule) -> BlockGraph:
    """The same graph for a stage of `width` channels with the heads of every matmul1 set by `rule`.

    Every matmul2 takes the number of heads that its affinities then have.

    Raises:
        GenotypeError: an operation does not fit.
    """
    ops: dict[str, Op] = dict(graph.ops)
    values = {Ref(INPUT): Value(width)}
    for node in graph.flow_order:
        inputs = tuple(values[ref] for ref in graph.sources[node])
        op = ops[node]
        if isinstance(op, Matmul1):
            op = replace(op, heads=rule(node, op, inputs[0]))
        elif isinstance(op, Matmul2):
            op = replace(op, heads=inputs[0].channels)
        ops[node] = op
        values.update((Ref(node, port), value) for port, value in enumerate(op.infer(inputs)))
    return graph if ops == graph.ops else BlockGraph.from_sources(ops, graph.sources)
