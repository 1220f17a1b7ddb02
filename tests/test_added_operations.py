"""Operations that the package has never heard of: passes, proxies, frames and drawings treat them as they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from graphs import WIDTH, wrap
from torch import Tensor, nn

import uninas
from uninas import proxies
from uninas.compiler import lower
from uninas.compiler.init import initialise
from uninas.genotype import BlockGraph, GraphBuilder
from uninas.ops import REGISTRY, Grid, Op, Value
from uninas.proxies import ProxyFailure
from uninas.report.drawing.labels import op_kind, op_label


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test defines is unknown again afterwards."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


class Swish(nn.Module):
    """SiLU, by functions that nobody watches."""

    def forward(self, x: Tensor) -> Tensor:
        return x / (1 + torch.exp(-x))


def define_swish(**says: object) -> str:
    """An activation with a property; gives its name."""

    @dataclass(frozen=True)
    class SwishOp(Op):
        name = "test_swish_" + "_".join(says or ["plain"])
        role = "activation"
        label = "Swish"

        def build(self, inputs):
            return Swish()

    for key, value in says.items():
        setattr(SwishOp, key, value)
    return SwishOp.name


def gated(activation: str) -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.chain(b.input, ("conv", {"kernel": 3}), activation, "conv"))


def squeezed(activation: str) -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.add("add", b.input, b.chain(b.input, "global_avg_pool", "upsample", activation)))


def lowered(graph: BlockGraph, **options) -> nn.Module:
    module = lower(graph, WIDTH, **options)
    initialise(module, 0)
    return module.eval()


def test_upsampling_sinks_behind_what_is_elementwise():
    x = torch.randn(2, WIDTH, 3, 4)
    for name, sinks in ((define_swish(elementwise=True), True), (define_swish(), False)):
        graph = squeezed(name)
        assert ("upsample" not in lowered(graph).code) == sinks
        torch.testing.assert_close(lowered(graph)(x), lowered(graph, passes=())(x))


def test_upsampling_sinks_into_what_broadcasts():
    class Mean(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (a + b) / 2

    @dataclass(frozen=True)
    class MeanOp(Op):
        name = "test_mean"
        arity = 2
        broadcasts = True

        def build(self, inputs):
            return Mean()

    b = GraphBuilder()
    graph = b.build(b.add("test_mean", b.input, b.chain(b.input, "global_avg_pool", "upsample")))
    x = torch.randn(2, WIDTH, 3, 4)
    assert "upsample" not in lowered(graph).code
    torch.testing.assert_close(lowered(graph)(x), lowered(graph, passes=())(x))


def test_attention_takes_up_what_adds():
    class Slope(nn.Module):
        def forward(self, scores: Tensor | None, reference: Tensor) -> Tensor:
            count = reference.shape[2] * reference.shape[3]
            bias = torch.linspace(-3, 3, count)[None, None, None].expand(1, 1, count, count)
            return bias if scores is None else scores + bias

    @dataclass(frozen=True)
    class SlopeOp(Op):
        name = "test_slope"
        needs_reference = True

        def addend(self, inputs):
            return Value(1, Grid.PAIR)

        def build(self, inputs):
            return Slope()

    b = GraphBuilder()
    affinities = b.chain(b.add("matmul1", b.input, b.input, heads=2), "test_slope", "softmax")
    graph = b.build(b.add("matmul2", affinities, b.input, heads=2))
    x = torch.randn(2, WIDTH, 3, 4)
    assert lowered(graph).meta["rewrites"]["fuse_attention"] == 1
    assert "softmax" not in lowered(graph).code
    torch.testing.assert_close(lowered(graph)(x), lowered(graph, passes=())(x))


def score(name: str, *graphs: BlockGraph, **frame: object) -> float:
    genotype = wrap(*graphs, **frame)
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return proxies.get(name)(uninas.build(genotype, 3), images)


@pytest.mark.parametrize("proxy", ["naswot", "near", "swap"])
def test_gates_are_counted(proxy):
    gate, other = define_swish(is_gate=True), define_swish()
    assert score(proxy, gated(gate)) == pytest.approx(score(proxy, gated("silu")), rel=1e-5)
    with pytest.raises(ProxyFailure, match=r"^no gates"):
        score(proxy, gated(other))


def test_a_gate_that_calls_a_watched_function_counts_once():
    @dataclass(frozen=True)
    class TwiceOp(Op):
        name = "test_twice"
        is_gate = True

        def build(self, inputs):
            return nn.Sequential(nn.ReLU(), nn.ReLU())

    assert score("naswot", gated("test_twice")) == score("naswot", gated("relu"))


def test_synflow_passes_over_norms():
    class Scale(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / (1 + x.abs().mean(1, keepdim=True))

    def define(name: str, role: str | None) -> BlockGraph:
        @dataclass(frozen=True)
        class ScaleOp(Op):
            def build(self, inputs):
                return Scale()

        ScaleOp.name, ScaleOp.role = name, role  # type: ignore[assignment]
        REGISTRY[name] = ScaleOp
        return gated(name)

    bare = GraphBuilder()
    without = score("synflow", bare.build(bare.chain(bare.input, ("conv", {"kernel": 3}), "conv")))
    assert score("synflow", define("test_norm", "norm")) == pytest.approx(without)
    assert score("synflow", define("test_no_norm", None)) != pytest.approx(without)


def test_drawings_take_the_label():
    op = REGISTRY[define_swish()]()
    assert (op_label(op), op_kind(op)) == ("Swish", "activation")
