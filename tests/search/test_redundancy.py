"""What adds nothing is found; what adds something is left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from uninas.genotype import BlockGraph, GraphBuilder, Ref, SubBlock
from uninas.ops import make
from uninas.search.space.redundancy import redundancies, subblock_redundancies

Write = Callable[[GraphBuilder, Ref], Ref]


def graph(write: Write) -> BlockGraph:
    b = GraphBuilder()
    return b.build(write(b, b.input))


def chain(*ops: str) -> Write:
    return lambda b, x: b.chain(x, *ops)


def chunked(*inside: str, order: tuple[int, int] = (0, 1)) -> Write:
    """The two parts of a chunk, each through `inside`, joined in `order`."""

    def write(b: GraphBuilder, x: Ref) -> Ref:
        parts = [b.chain(part, *inside) for part in b.ports(b.add("chunk", x, parts=2))]
        return b.add("concat", *(parts[i] for i in order))

    return write


def norm_behind_chunk(b: GraphBuilder, x: Ref) -> Ref:
    left, right = b.ports(b.add("chunk", b.add("layer_norm", x), parts=2))
    return b.add("concat", b.add("rms_norm", left), right)


def norm_behind_concat(b: GraphBuilder, x: Ref) -> Ref:
    return b.add("layer_norm", chunked("layer_norm")(b, x))


def norm_behind_half_a_norm(b: GraphBuilder, x: Ref) -> Ref:
    left, right = b.ports(b.add("chunk", x, parts=2))
    return b.add("layer_norm", b.add("concat", b.add("rms_norm", left), right))


ADDS_NOTHING = {
    "norm behind norm": (chain("batch_norm", "layer_norm"), ("layer_norm",)),
    "relu behind relu": (chain("relu", "relu"), ("relu_2",)),
    "relu behind softmax": (chain("softmax", "relu"), ("relu",)),
    "relu behind sigmoid": (chain("sigmoid", "relu"), ("relu",)),
    "sigmoid twice": (chain("sigmoid", "sigmoid"), ("sigmoid_2",)),
    "softmax twice": (chain("softmax", "softmax"), ("softmax_2",)),
    "mask twice": (chain("mask", "mask"), ("mask_2",)),
    "layer scale twice": (chain("layer_scale", "layer_scale"), ("layer_scale_2",)),
    "pool of a constant": (chain("global_avg_pool", "upsample", "max_pool"), ("max_pool",)),
    "average of a constant": (
        chain("global_avg_pool", "upsample", "global_avg_pool", "upsample"),
        ("global_avg_pool_2",),
    ),
    "norm behind a chunk of a norm": (norm_behind_chunk, ("rms_norm",)),
    "norm behind joined norms": (norm_behind_concat, ("layer_norm_3",)),
    "relu behind an upsampled relu": (chain("global_avg_pool", "relu", "upsample", "relu"), ("relu_2",)),
    "a value and itself": (lambda b, x: b.add("add", x, x), ("add",)),
    "three of which two are one": (lambda b, x: b.add("add", x, b.add("gelu", x), x), ("add",)),
    "chunks joined again": (chunked(), ("concat",)),
}

ADDS_SOMETHING = {
    "two convolutions": chain("conv", "conv"),
    "two pools": chain("avg_pool", "avg_pool"),
    "another activation": chain("relu", "gelu"),
    "sigmoid behind relu": chain("relu", "sigmoid"),
    "a convolution between norms": chain("batch_norm", "conv", "batch_norm"),
    "norm behind layer scale": chain("layer_scale", "batch_norm"),
    "parts in another order": chunked(order=(1, 0)),
    "one part twice": chunked(order=(0, 0)),
    "something on the parts": chunked("gelu"),
    "a norm of what is partly normal": norm_behind_half_a_norm,
    "a value times itself": lambda b, x: b.add("multiply", x, x),
    "affinities with itself": lambda b, x: b.add("matmul2", b.add("softmax", b.add("matmul1", x, x)), x),
}


@pytest.mark.parametrize("name", ADDS_NOTHING)
def test_what_adds_nothing_is_found(name):
    write, expected = ADDS_NOTHING[name]
    assert redundancies(graph(write)) == expected


@pytest.mark.parametrize("name", ADDS_SOMETHING)
def test_what_adds_something_is_left_alone(name):
    found = graph(ADDS_SOMETHING[name])
    found.infer(8)
    assert redundancies(found) == ()


def test_query_key_grids():
    b = GraphBuilder()
    a = b.chain(b.add("matmul1", b.input, b.input), "rel_pos_bias", "rel_pos_bias", "mask", "softmax", "softmax")
    assert redundancies(b.build(b.add("matmul2", a, b.input))) == ("rel_pos_bias_2", "softmax_2")


def test_what_is_around_the_graph_counts():
    normed = graph(chain("batch_norm", "conv", "relu"))
    assert redundancies(normed) == ()
    assert redundancies(normed, before=make("layer_norm")) == ("batch_norm",)
    assert redundancies(normed, behind=make("relu")) == ("output",)
    assert redundancies(normed, behind=make("gelu")) == ()


def test_sub_blocks():
    normed = graph(chain("batch_norm", "conv", "relu"))
    assert subblock_redundancies(SubBlock(normed, norm="layer"), downsampled=False) == ("batch_norm",)
    assert subblock_redundancies(SubBlock(normed, norm=None), downsampled=False) == ()
    halved = SubBlock(normed, norm="layer")  # norm, halving, convolution, then the graph
    assert subblock_redundancies(halved, downsampled=True) == ()
    plain = SubBlock(normed, norm=None, residual=False, activation="relu")
    assert subblock_redundancies(plain, downsampled=False) == ("output",)
    added = SubBlock(normed, norm=None, residual=True, activation="relu")  # of the sum
    assert subblock_redundancies(added, downsampled=False) == ()
