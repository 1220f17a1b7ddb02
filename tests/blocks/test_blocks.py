"""The well-known blocks: valid, priced and runnable at several widths; what they are made of."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import uninas
from uninas import Genotype, GenotypeError, blocks
from uninas.blocks import BLOCKS
from uninas.blocks.library import heads_for
from uninas.genotype import Block, Stage, Stem, StemConv


def around(block: Block, width: int) -> Genotype:
    """One stage with two such blocks, the first of which downsamples."""
    return Genotype((Stage(width, (block, block)),), Stem((StemConv(width, 3, 2),)))


def ops(block: Block, index: int = 0) -> list[str]:
    """The operations of a sub-block in order."""
    graph = block.subblocks[index].graph
    return [str(graph.ops[node]) for node in graph.flow_order]


@pytest.mark.parametrize("width", [32, 48])
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_valid_and_priced(name, width):
    genotype = around(BLOCKS[name](width), width)
    net = uninas.build(genotype, num_classes=5, passes=()).eval()
    for size in ((16, 16), (9, 14)):
        cost = uninas.cost(genotype, size, num_classes=5)
        with FlopCounterMode(display=False) as counter:
            out = net(torch.randn(1, 3, *size))
        assert counter.get_total_flops() == 2 * cost.macs
        assert torch.isfinite(out).all()
    assert sum(p.numel() for p in net.parameters()) == cost.params
    out.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_round_trip(name):
    genotype = around(BLOCKS[name](32), 32)
    assert Genotype.from_dict(genotype.to_dict()) == genotype


def test_blocks_differ():
    assert len({around(make(32), 32).key for make in BLOCKS.values()}) == len(BLOCKS)


def test_every_block_function_has_a_name():
    functions = [getattr(blocks, name) for name in blocks.__all__ if name != "network"]
    assert {function for function in functions if callable(function)} == set(BLOCKS.values())


def test_the_papers_blocks():
    """Of Tybl and Neumann (2025)."""
    conv3 = "conv(kernel=3, groups=1, ratio=1, bias=True)"
    assert ops(blocks.residual(96)) == [conv3, "batch_norm()", "gelu()"] * 2

    def conv1(ratio: str) -> str:
        return f"conv(kernel=1, groups=1, ratio={ratio}, bias=True)"

    assert ops(blocks.mbconv(96)) == [
        *(conv1("4"), "batch_norm()", "gelu()", "dwconv(kernel=5, bias=False)", "batch_norm()", "gelu()"),
        *("global_avg_pool()", conv1("1/4"), "gelu()", conv1("4"), "upsample()", "multiply(gate=sigmoid)"),
        *(conv1("1/4"), "batch_norm()"),
    ]
    assert ops(blocks.transformer(96)) == [
        *(conv1("3"), "chunk(parts=3)", "matmul1(heads=3)", "rel_pos_bias(size=14)", "softmax()"),
        *("matmul2(heads=3)", conv1("1")),
    ]
    assert ops(blocks.transformer(96), 1) == [conv1("4"), "layer_norm()", "gelu()", conv1("1/4")]
    for make in (blocks.residual, blocks.mbconv, blocks.transformer):
        assert all((sub.norm, sub.residual, sub.activation) == ("layer", True, None) for sub in make(96).subblocks)


def test_attention_without_bias():
    assert not any("rel_pos_bias" in op for op in ops(blocks.transformer(64, bias_size=None)))
    assert not any("rel_pos_bias" in op for op in ops(blocks.conv_attention(64, bias_size=None)))


def test_options():
    assert "conv(kernel=1, groups=1, ratio=6, bias=False)" in ops(blocks.inverted_residual(32))
    assert "dwconv(kernel=7, bias=False)" in ops(blocks.mbconv(32, kernel=7))
    assert "matmul1(heads=4)" in ops(blocks.transformer(64, head_width=16))
    assert blocks.bottleneck(64).subblocks[0].activation == "relu"
    assert blocks.convnext(64).subblocks[0].norm is None


@pytest.mark.parametrize(
    ("width", "head_width", "heads"),
    [(96, 32, 3), (32, 32, 1), (8, 32, 1), (48, 32, 1), (50, 32, 2), (97, 32, 1), (40, 16.0, 2)],
)
def test_heads(width, head_width, heads):
    assert heads_for(width, head_width) == heads
    assert width % heads == 0


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: blocks.transformer(0), "width"),
        (lambda: blocks.transformer(1.5), "width"),  # type: ignore
        (lambda: blocks.transformer(32, head_width=0), "head_width"),
        (lambda: blocks.conv_attention(1), "width"),
        (lambda: blocks.mbconv(32, ratio=5), "ratio"),
        (lambda: blocks.mbconv(32, kernel=4), "kernel"),
        (lambda: blocks.transformer(32, bias_size=-1), "size"),
    ],
)
def test_bad_options(make, path):
    with pytest.raises(GenotypeError) as error:
        make()
    assert error.value.path == path
