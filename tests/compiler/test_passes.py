"""Every rewriting pass: the same numbers, gradients and parameters as the plain lowering, done where it pays, and only
there."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from graphs import WIDTH, branching_graph, random_graph
from torch import Tensor, fx, nn

from uninas.compiler import PASSES, lower
from uninas.compiler.init import initialise
from uninas.compiler.passes import batch_branches, fuse_attention, sink_upsampling
from uninas.genotype import BlockGraph, GraphBuilder, Ref
from uninas.ops.modules.attention import Affinity, FusedAttention
from uninas.ops.modules.conv import ParallelConv, SharedInputConv
from uninas.ops.modules.merge import ChunkChannels, ConcatChannels
from uninas.ops.modules.pool import UpsampleTo

CHANNELS = 12


def lowered(graph: BlockGraph, channels: int, passes, dtype: torch.dtype) -> fx.GraphModule:
    """With weights that depend on the seed alone, norms and biases included."""
    module = lower(graph, channels, passes)
    initialise(module, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.to(dtype)


def run(module: fx.GraphModule, x: Tensor) -> dict[str, Tensor | None]:
    """Output, and gradients of a random projection of it."""
    module.zero_grad()
    x = x.clone().requires_grad_()
    y = module(x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y)
    (y * weights).sum().backward()
    return {"output": y.detach(), "input": x.grad, **{name: p.grad for name, p in module.named_parameters()}}


def assert_same(graph: BlockGraph, channels: int = CHANNELS, passes=PASSES) -> fx.GraphModule:
    """Plain and rewritten agree in double precision, in training and in evaluation, at two sizes; gives the latter."""
    plain, rewritten = (lowered(graph, channels, p, torch.float64) for p in ((), passes))
    assert [(n, p.shape) for n, p in plain.named_parameters()] == [
        (n, p.shape) for n, p in rewritten.named_parameters()
    ]
    assert list(plain.state_dict()) == list(rewritten.state_dict())
    for training, size in ((True, (4, 4)), (False, (3, 5))):
        x = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        expected, found = run(plain.train(training), x), run(rewritten.train(training), x)
        for name, value in expected.items():
            if value is None:
                assert found[name] is None, name
            else:
                torch.testing.assert_close(
                    found[name], value, rtol=1e-5, atol=1e-5 * float(1 + value.abs().max()), msg=name
                )
        with torch.no_grad():
            torch.testing.assert_close(rewritten(x), plain(x), rtol=1e-9, atol=1e-9)
    rewritten.graph.lint()
    return rewritten


def assert_same_in_float(graph: BlockGraph, channels: int = CHANNELS, passes=PASSES) -> None:
    plain, rewritten = (lowered(graph, channels, p, torch.float32) for p in ((), passes))
    x = torch.randn(2, channels, 4, 4, generator=torch.Generator().manual_seed(3))
    expected, found = run(plain, x), run(rewritten, x)
    for name, value in expected.items():
        if value is not None:
            scale = float(1 + value.abs().max())
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5 * scale, msg=name)


def calls(module: fx.GraphModule, kind: type[nn.Module]) -> int:
    """How many calls of such modules the graph makes."""
    nodes = [node for node in module.graph.nodes if node.op == "call_module"]
    return sum(isinstance(module.get_submodule(str(node.target)), kind) for node in nodes)


def written(module: fx.GraphModule) -> list[str]:
    """The calls of the graph, in order."""
    nodes = [node for node in module.graph.nodes if node.op == "call_module"]
    return [type(module.get_submodule(str(node.target))).__name__ for node in nodes]


Write = Callable[[GraphBuilder, Ref], Ref]


def graph_of(write: Write) -> BlockGraph:
    b = GraphBuilder()
    return b.build(write(b, b.input))


# ------------------------------------------------------------------------------------------------ attention


def attend(b: GraphBuilder, x: Ref, *between, heads: int = 2, values: str | None = "conv", softmax: bool = True) -> Ref:
    """Self-attention with operations `between` affinities and softmax."""
    q, k = b.add("conv", x, kernel=3), b.add("dwconv", x)
    v = b.add(values, x) if values else x
    a = b.chain(b.add("matmul1", q, k, heads=heads), *between)
    a = b.add("softmax", a, id=f"softmax_{len(b.ops)}") if softmax else a
    return b.add("matmul2", a, v, heads=heads)


BIAS = ("rel_pos_bias", {"size": 3})
EXCLUDE = ("mask", {"band": 3, "fill": "exclude"})
ZERO = ("mask", {"band": 3})


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


# ------------------------------------------------------------------------------------------------ branches


def branches(*chains, merge: str = "concat", fork: str = "chunk", back: bool = True) -> Write:
    """Chunk (or copy), a chain of operations for each part, and a merge."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        count = len(chains)
        starts = b.ports(b.add("chunk", x, parts=count)) if fork == "chunk" else [x] * count
        out = b.add(merge, *(b.chain(start, *chain) for start, chain in zip(starts, chains)))
        return out if fork == "chunk" or not back else b.add("conv", out, ratio=f"1/{count}", id="back")

    return write


CONV3 = ("conv", {"kernel": 3})
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


# ------------------------------------------------------------------------------------------------ upsampling


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


# ------------------------------------------------------------------------------------------------ together


@pytest.mark.parametrize("seeds", range(4))
def test_random_graphs(seeds):
    for seed in range(30 * seeds, 30 * seeds + 30):
        assert_same(random_graph(random.Random(seed), 25), WIDTH)


@pytest.mark.parametrize("seeds", range(5))
def test_random_branches(seeds):
    for seed in range(30 * seeds, 30 * seeds + 30):
        assert_same(branching_graph(random.Random(seed)), 3 * WIDTH)


def test_random_branches_meet_every_rule():
    found: set[str] = set()
    for seed in range(150):
        found |= set(written(lower(branching_graph(random.Random(seed)), 3 * WIDTH)))
    assert {"FusedAttention", "ParallelConv", "SharedInputConv"} <= found


@pytest.mark.parametrize("seed", range(10))
def test_one_pass_after_the_other_in_any_order(seed):
    passes = list(PASSES) * 2
    random.Random(seed).shuffle(passes)
    assert_same(branching_graph(random.Random(seed + 1000)), 3 * WIDTH, passes=passes)


def test_passes_can_be_repeated():
    for seed in range(20):
        graph = branching_graph(random.Random(seed))
        assert written(lower(graph, 3 * WIDTH, PASSES * 2)) == written(lower(graph, 3 * WIDTH, PASSES))


def test_dead_nodes_are_left_out():
    b = GraphBuilder()
    x = b.add("gelu", b.input)
    b.chain(b.input, CONV3, "batch_norm")
    module = lower(b.build(x), CHANNELS)
    assert written(module) == ["GELU"]
    assert list(module.parameters()) == []
