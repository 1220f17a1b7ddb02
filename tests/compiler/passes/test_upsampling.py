"""Upsampling moves behind what works on each position alone, and vanishes: the same numbers, and only there."""

from __future__ import annotations

import pytest

from uninas.compiler.passes import sink_upsampling
from uninas.genotype import GraphBuilder, Ref
from uninas.ops.modules.pool import UpsampleTo

from .rewriting import Write, assert_same, assert_same_in_float, calls, graph_of, written


def point(b: GraphBuilder, x: Ref, *ops) -> Ref:
    return b.chain(x, "global_avg_pool", *ops, "upsample")


SINKS: dict[str, Write] = {
    "squeeze and excite": lambda b, x: b.add("multiply", x, point(b, x, "conv", "gelu", "conv")),
    "plain product": lambda b, x: b.add("multiply", x, point(b, x, "conv"), gate="none"),
    "sum": lambda b, x: b.add("add", x, point(b, x, "conv")),
    "sum of three": lambda b, x: b.add("add", x, point(b, x), point(b, x, "conv")),
    "activations behind": lambda b, x: b.add("multiply", x, b.chain(point(b, x), "relu", "sigmoid")),
    "the same twice": lambda b, x: (lambda up: b.add("add", x, up, up))(point(b, x)),
    "read by two": lambda b, x: (lambda up: b.add("add", b.add("multiply", x, up), up))(point(b, x, "conv")),
}


@pytest.mark.parametrize("case", SINKS)
def test_upsampling_sinks_away(case):
    graph = graph_of(SINKS[case])
    module = assert_same(graph, passes=(sink_upsampling,))
    assert calls(module, UpsampleTo) == 0
    assert_same_in_float(graph, passes=(sink_upsampling,))


RISES: dict[str, tuple[Write, int]] = {
    "nothing wide": (lambda b, x: b.add("multiply", point(b, x), point(b, x, "conv")), 1),
    "wide comes second": (lambda b, x: b.add("multiply", point(b, x), x), 1),
    "a kernel sees the border": (lambda b, x: b.add("dwconv", point(b, x)), 1),
    "softmax runs along the columns": (lambda b, x: b.add("add", x, b.add("softmax", point(b, x))), 1),
    "statistics of all positions": (lambda b, x: b.add("add", x, b.add("batch_norm", point(b, x))), 1),
    "queries": (lambda b, x: b.add("matmul2", b.add("matmul1", point(b, x), x), x), 1),
    "the output": (lambda b, x: point(b, x, "conv"), 1),
    "a concatenation": (lambda b, x: b.add("conv", b.add("concat", x, point(b, x)), ratio="1/2"), 1),
    "an activation, and the map itself": (
        lambda b, x: (lambda up: b.add("concat", b.add("gelu", up), up, id="both"))(point(b, x)),
        1,
    ),
}


@pytest.mark.parametrize("case", RISES)
def test_upsampling_that_must_stay(case):
    write, least = RISES[case]
    b = GraphBuilder()
    out = write(b, b.input)
    if case == "an activation, and the map itself":
        out = b.add("conv", out, ratio="1/2")
    module = assert_same(b.build(out), passes=(sink_upsampling,))
    assert calls(module, UpsampleTo) >= least


def test_an_activation_runs_on_one_position():
    graph = graph_of(lambda b, x: b.chain(point(b, x), "gelu", "sigmoid"))
    module = assert_same(graph, passes=(sink_upsampling,))
    assert written(module) == ["GlobalAverage", "GELU", "Sigmoid", "UpsampleTo"]
