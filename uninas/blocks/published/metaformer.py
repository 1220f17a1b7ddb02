"""Networks of one token mixer and one MLP: ConvNeXt-T (Liu et al., 2022) and PoolFormer-S12 (Yu et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence

from ...genotype import (
    Block,
    BlockGraph,
    Downsample,
    Genotype,
    GraphBuilder,
    Head,
    Ref,
    Stage,
    Stem,
    StemConv,
    SubBlock,
)
from ..library import convnext, mlp
from .base import chosen


def convnext_tiny(
    widths: Sequence[int] | None = None, depths: Sequence[int] | None = None, input_size: int = 224
) -> Genotype:
    """28.6 M parameters; timm's `convnext_tiny`."""
    widths = chosen(widths, (96, 192, 384, 768), "widths")
    shape = zip(widths, chosen(depths, (3, 3, 9, 3), "depths"), ("none", "patch", "patch", "patch"))
    stages = tuple(Stage(width, (convnext(width),) * depth, Downsample(kind)) for width, depth, kind in shape)
    stem = Stem((StemConv(widths[0], 4, 4, norm="layer"),))
    return Genotype(stages, stem, Head(pool_first=True), name="convnext_tiny")


def poolformer_s12(
    widths: Sequence[int] | None = None, depths: Sequence[int] | None = None, input_size: int = 224
) -> Genotype:
    """11.9 M parameters; timm's `poolformer_s12`."""
    widths = chosen(widths, (64, 128, 320, 512), "widths")
    shape = zip(widths, chosen(depths, (2, 2, 6, 2), "depths"), ("none", *("plain_conv",) * 3))
    stages = tuple(Stage(width, (_poolformer(),) * depth, Downsample(kind)) for width, depth, kind in shape)
    stem = Stem((StemConv(widths[0], 7, 4, padding=2),))
    return Genotype(stages, stem, Head(pool_first=True), name="poolformer_s12")


def _poolformer() -> Block:
    """x + scale * (pool(norm(x)) - norm(x)), then the MLP, as published: one group to each norm."""

    def mix(b: GraphBuilder, x: Ref) -> Ref:
        return b.add("subtract", b.add("avg_pool", x), x)

    def feed(b: GraphBuilder, x: Ref) -> Ref:
        return mlp(b, x, norm=None)

    return Block(tuple(SubBlock(_scaled(write), norm=None) for write in (mix, feed)))


def _scaled(write) -> BlockGraph:
    b = GraphBuilder()
    return b.build(b.add("layer_scale", write(b, b.add("group_norm", b.input, groups=1)), init=1e-5))
