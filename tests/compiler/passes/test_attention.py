"""Attention is fused, with the same numbers, gradients and parameters, and only where it is attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from uninas.compiler import PASSES, lower
from uninas.compiler.passes import fuse_attention
from uninas.genotype import GraphBuilder, Ref
from uninas.ops.modules.attention import Affinity, FusedAttention

from .rewriting import (
    BIAS,
    CHANNELS,
    EXCLUDE,
    ZERO,
    Write,
    assert_same,
    assert_same_in_float,
    attend,
    calls,
    graph_of,
    lowered,
    written,
)


def same_query_and_key(b: GraphBuilder, x: Ref) -> Ref:
    q = b.add("conv", x)
    return b.add("matmul2", b.add("softmax", b.add("matmul1", q, q, heads=3)), q, heads=3)


def values_of_another_width(b: GraphBuilder, x: Ref) -> Ref:
    wide = b.add("conv", x, ratio=2)
    mixed = b.add("matmul2", b.add("softmax", b.add("matmul1", x, x, heads=2)), wide, heads=2)
    return b.add("conv", mixed, ratio="1/2")


def two_in_a_row(b: GraphBuilder, x: Ref) -> Ref:
    return attend(b, attend(b, x, BIAS), EXCLUDE)


FUSES: dict[str, tuple[Write, int]] = {
    "plain": (lambda b, x: attend(b, x), 1),
    "one head": (lambda b, x: attend(b, x, heads=1), 1),
    "bias": (lambda b, x: attend(b, x, BIAS), 1),
    "mask": (lambda b, x: attend(b, x, EXCLUDE), 1),
    "bias, mask": (lambda b, x: attend(b, x, BIAS, EXCLUDE), 1),
    "mask, bias": (lambda b, x: attend(b, x, EXCLUDE, BIAS), 1),
    "two biases": (lambda b, x: attend(b, x, BIAS, BIAS), 1),
    "input as values": (lambda b, x: attend(b, x, values=None), 1),
    "query is key is value": (same_query_and_key, 1),
    "values of another width": (values_of_another_width, 1),
    "two in a row": (two_in_a_row, 2),
}


@pytest.mark.parametrize("case", FUSES)
def test_attention_is_fused(case):
    write, count = FUSES[case]
    graph = graph_of(write)
    module = assert_same(graph, passes=(fuse_attention,))
    assert calls(module, FusedAttention) == count
    assert calls(module, Affinity) == calls(module, nn.Softmax) == 0
    assert_same_in_float(graph, passes=(fuse_attention,))


def also_read(where: int) -> Write:
    """Attention whose `where`-th intermediate result is read a second time."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        a = [b.add("matmul1", x, x, heads=2)]
        a.append(b.add("rel_pos_bias", a[-1], size=3))
        a.append(b.add("softmax", a[-1]))
        once, again = b.add("matmul2", a[2], x, heads=2), b.add("matmul2", b.add("gelu", a[where]), x, heads=2)
        return b.add("add", once, again)

    return write


def softmax_read_twice(b: GraphBuilder, x: Ref) -> Ref:
    a = b.add("softmax", b.add("matmul1", x, x))
    return b.add("add", b.add("matmul2", a, x), b.add("matmul2", a, b.add("gelu", x)))


def softmax_of_features(b: GraphBuilder, x: Ref) -> Ref:
    """A softmax, but of the values; the affinities are used as they are."""
    return b.add("matmul2", b.add("matmul1", x, x, heads=2), b.add("softmax", x), heads=2)


STAYS: dict[str, Write] = {
    "a mask of zeros": lambda b, x: attend(b, x, ZERO),
    "a mask of zeros behind a bias": lambda b, x: attend(b, x, BIAS, ZERO),
    "no softmax": lambda b, x: attend(b, x, softmax=False),
    "two softmaxes": lambda b, x: attend(b, x, "softmax"),
    "an activation between": lambda b, x: attend(b, x, "relu"),
    "heads mixed": lambda b, x: attend(b, x, ("conv", {})),
    "a norm between": lambda b, x: attend(b, x, BIAS, "batch_norm"),
    "affinities read again": also_read(0),
    "biased affinities read again": also_read(1),
    "weights read again": also_read(2),
    "softmax read twice": softmax_read_twice,
    "softmax of the values": softmax_of_features,
}


@pytest.mark.parametrize("case", STAYS)
def test_attention_that_must_stay(case):
    graph = graph_of(STAYS[case])
    module = assert_same(graph, passes=(fuse_attention,))
    assert calls(module, FusedAttention) == 0
    assert written(module) == written(lower(graph, CHANNELS, ()))


def test_fused_attention_keeps_no_affinities():
    """The N x N affinities of the batch are never saved for the backward pass."""

    def largest_saved(passes) -> int:
        module = lowered(graph_of(lambda b, x: attend(b, x, heads=1)), CHANNELS, passes, torch.float32)
        module.to(memory_format=torch.channels_last)  # as `build` lays weights out, and so do activations
        x = torch.randn(1, CHANNELS, 16, 16).to(memory_format=torch.channels_last)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            module(x)
        return max(sizes)

    assert largest_saved(()) == 256 * 256
    assert largest_saved(PASSES) < 256 * 256
