"""Branches that do alike become one: the same numbers, gradients and parameters, where it pays and only there."""

from __future__ import annotations

import pytest
from torch import nn

from uninas.compiler import lower
from uninas.compiler.passes import batch_branches
from uninas.genotype import GraphBuilder, Ref
from uninas.ops.modules.attention import FusedAttention
from uninas.ops.modules.conv import ParallelConv, SharedInputConv
from uninas.ops.modules.merge import ChunkChannels, ConcatChannels

from .rewriting import (
    BIAS,
    CHANNELS,
    CONV3,
    EXCLUDE,
    Write,
    assert_same,
    assert_same_in_float,
    calls,
    graph_of,
    written,
)


def branches(*chains, merge: str = "concat", fork: str = "chunk", back: bool = True) -> Write:
    """Chunk (or copy), a chain of operations for each part, and a merge."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        count = len(chains)
        starts = b.ports(b.add("chunk", x, parts=count)) if fork == "chunk" else [x] * count
        out = b.add(merge, *(b.chain(start, *chain) for start, chain in zip(starts, chains)))
        return out if fork == "chunk" or not back else b.add("conv", out, ratio=f"1/{count}", id="back")

    return write


GROUPED = ("conv", {"kernel": 1, "groups": 2, "bias": False})

JOINS: dict[str, tuple[Write, list[str]]] = {
    "convolutions": (branches([CONV3], [CONV3]), ["ParallelConv"]),
    "grouped convolutions": (branches([GROUPED], [GROUPED], [GROUPED]), ["ParallelConv"]),
    "depthwise": (branches(["dwconv"], ["dwconv"]), ["ParallelConv"]),
    "activations": (branches(["gelu"], ["gelu"]), ["GELU"]),
    "pools": (branches(["max_pool", "avg_pool"], ["max_pool", "avg_pool"]), ["MaxPool2d", "AvgPool2d"]),
    "softmax": (branches(["softmax"], ["softmax"]), ["Softmax"]),
    "chains": (
        branches(*[[CONV3, "gelu", "dwconv", "silu", GROUPED]] * 3),
        ["ParallelConv", "GELU", "ParallelConv", "SiLU", "ParallelConv"],
    ),
    "gates": (
        branches(*[["global_avg_pool", "conv", "sigmoid", "upsample"]] * 2),
        ["GlobalAverage", "ParallelConv", "Sigmoid", "UpsampleTo"],
    ),
    "nothing between": (branches([], []), []),
    "copies": (
        branches([CONV3, "gelu"], [CONV3, "gelu"], fork="copy"),
        ["SharedInputConv", "GELU", "Conv2d"],
    ),
    "an end that differs": (
        branches([CONV3, "gelu", "batch_norm"], [CONV3, "gelu", "batch_norm"]),
        ["ChunkChannels", "Conv2d", "GELU", "BatchNorm2d", "Conv2d", "GELU", "BatchNorm2d", "ConcatChannels"],
    ),
}
"""Writing, and what should be called."""


@pytest.mark.parametrize("case", JOINS)
def test_branches_are_joined(case):
    write, expected = JOINS[case]
    graph = graph_of(write)
    module = assert_same(graph, passes=(batch_branches,))
    assert sorted(written(module)) == sorted(expected)
    assert_same_in_float(graph, passes=(batch_branches,))


def test_a_start_that_differs_is_left_where_it_is():
    """What comes behind it is joined all the same."""
    module = assert_same(graph_of(branches(["batch_norm", CONV3], [CONV3])), passes=(batch_branches,))
    assert calls(module, ParallelConv) == 1
    assert calls(module, nn.BatchNorm2d) == 1
    assert calls(module, ChunkChannels) == calls(module, ConcatChannels) == 1


def test_parts_in_another_order():
    def write(b: GraphBuilder, x: Ref) -> Ref:
        first, second = b.ports(b.add("chunk", x))
        return b.add("concat", b.add("conv", second), b.add("conv", first))

    module = assert_same(graph_of(write), passes=(batch_branches,))
    assert calls(module, ParallelConv) == 1
    assert calls(module, ChunkChannels) == calls(module, ConcatChannels) == 1  # the order matters


def read_again(b: GraphBuilder, x: Ref) -> Ref:
    first, second = (b.add("conv", part, kernel=3) for part in b.ports(b.add("chunk", x)))
    return b.add("concat", b.add("add", first, second), b.add("add", b.add("gelu", first), second))


def branch_is_read_again(b: GraphBuilder, x: Ref) -> Ref:
    first, second = (b.add("conv", part, kernel=3) for part in b.ports(b.add("chunk", x)))
    return b.add("concat", first, b.add("add", first, second))


def read_in_two_orders(b: GraphBuilder, x: Ref) -> Ref:
    """Joining would run every convolution twice."""
    first, second = (b.add("conv", part, kernel=3) for part in b.ports(b.add("chunk", x)))
    return b.add("multiply", b.add("concat", first, second), b.add("concat", second, first))


def one_branch_twice(b: GraphBuilder, x: Ref) -> Ref:
    first, _ = b.ports(b.add("chunk", x))
    once = b.add("conv", first, kernel=3)
    return b.add("concat", once, once)


def other_widths(b: GraphBuilder, x: Ref) -> Ref:
    first, second, third = b.ports(b.add("chunk", x, parts=3))
    return b.add("concat", b.add("conv", first), b.add("conv", b.add("concat", third, second)))


APART: dict[str, Write] = {
    "another kernel": branches([CONV3], [("conv", {"kernel": 5})]),
    "another bias": branches([CONV3], [("conv", {"kernel": 3, "bias": False})]),
    "another operation": branches(["gelu"], ["relu"]),
    "norms": branches(["batch_norm"], ["batch_norm"]),
    "layer norms": branches(["layer_norm"], ["layer_norm"]),
    "layer scales": branches(["layer_scale"], ["layer_scale"]),
    "a sum instead": branches([CONV3], [CONV3], merge="add", fork="copy", back=False),
    "of different widths": other_widths,
    "read again": read_again,
    "a branch read again": branch_is_read_again,
    "branches read in two orders": read_in_two_orders,
    "one branch twice": one_branch_twice,
}


@pytest.mark.parametrize("case", APART)
def test_branches_that_must_stay_apart(case):
    graph = graph_of(APART[case])
    module = assert_same(graph, passes=(batch_branches,))
    assert calls(module, ParallelConv) == 0
    if case != "a sum instead":  # where the shared input is read once
        assert written(module) == written(lower(graph, CHANNELS, ()))


@pytest.mark.parametrize("count", [2, 3])
def test_convolutions_of_one_input(count):
    graph = graph_of(branches(*[[CONV3]] * count, merge="add", fork="copy", back=False))
    module = assert_same(graph, passes=(batch_branches,))
    assert calls(module, SharedInputConv) == 1
    assert calls(module, nn.Conv2d) == 0


def qkv(b: GraphBuilder, x: Ref) -> Ref:
    q, k, v = (b.add("conv", x) for _ in range(3))
    return b.add("matmul2", b.add("softmax", b.add("matmul1", q, k, heads=2)), v, heads=2)


def test_query_key_and_value_are_one_convolution():
    module = assert_same(graph_of(qkv))
    assert sorted(written(module)) == ["ChunkChannels", "FusedAttention", "SharedInputConv"]


def test_only_equal_convolutions_share():
    two_kinds = graph_of(lambda b, x: b.add("add", *(b.add("conv", x, kernel=kernel) for kernel in (1, 3, 1, 3))))
    assert calls(assert_same(two_kinds, passes=(batch_branches,)), SharedInputConv) == 2
    module = assert_same(
        graph_of(lambda b, x: b.add("add", b.add("conv", x), b.add("conv", x, kernel=3))), passes=(batch_branches,)
    )
    assert calls(module, SharedInputConv) == 0
    grouped = graph_of(lambda b, x: b.add("add", *(b.add("conv", x, groups=2) for _ in range(2))))
    assert calls(assert_same(grouped, passes=(batch_branches,)), SharedInputConv) == 0


def head_by_head(heads: int, *between, width: int = 2) -> Write:
    """The paper's multi-head attention: a branch for each chunk of channels."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        ends = []
        for part in b.ports(b.add("chunk", x, parts=heads)):
            a = b.chain(b.add("matmul1", part, b.add("gelu", part), heads=width), *between)
            ends.append(b.add("matmul2", b.add("softmax", a), part, heads=width))
        return b.add("concat", *ends)

    return write


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (head_by_head(3), ["GELU", "FusedAttention"]),
        (head_by_head(2, width=1), ["GELU", "FusedAttention"]),
        (
            head_by_head(2, BIAS),
            ["GELU", "RelativePositionBias", "RelativePositionBias", "ConcatChannels", "FusedAttention"],
        ),
        (head_by_head(2, EXCLUDE, BIAS), None),
        (head_by_head(2, EXCLUDE, width=1), None),
    ],
    ids=["three", "of one head", "biased", "masked and biased", "masked, of one head"],
)
def test_attention_branches_become_heads(write, expected):
    module = assert_same(graph_of(write))
    assert calls(module, FusedAttention) == 1
    if expected is not None:
        assert sorted(written(module)) == sorted(expected)
    assert_same_in_float(graph_of(write))


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("between", [[EXCLUDE], [EXCLUDE, EXCLUDE]])
def test_one_mask_for_several_heads_is_not_many_masks(parts, between):
    """A mask is 1 x 1 x N x N whatever the heads: side by side, masks would not fit more heads."""
    module = assert_same(graph_of(head_by_head(parts, *between)))
    assert calls(module, FusedAttention) == parts


def test_attention_branches_that_differ_stay_apart():
    def write(b: GraphBuilder, x: Ref) -> Ref:
        ends = []
        for part, between in zip(b.ports(b.add("chunk", x)), (BIAS, EXCLUDE)):
            a = b.chain(b.add("matmul1", part, part, heads=2), between)
            ends.append(b.add("matmul2", b.add("softmax", a), part, heads=2))
        return b.add("concat", *ends)

    assert calls(assert_same(graph_of(write)), FusedAttention) == 2
