"""CoAtNet-0 (Dai et al., "CoAtNet: Marrying Convolution and Attention for All Data Sizes", 2021) as timm trains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...genotype import Block, Downsample, Genotype, GraphBuilder, Stage, Stem, StemConv, SubBlock
from ..library import attention, heads_for, mlp, squeeze_excite
from .base import behind, chosen


def coatnet_0(
    widths: Sequence[int] | None = None, depths: Sequence[int] | None = None, input_size: int = 224
) -> Genotype:
    """27.4 M parameters; timm's `coatnet_0_rw_224`.

    Args:
        input_size: image side in pixels for whose grids relative position bias tables are made.
    """
    widths, depths = chosen(widths, (96, 192, 384, 768), "widths"), chosen(depths, (2, 3, 7, 2), "depths")
    side, stages = -(-input_size // 2), []
    for i, (width, depth) in enumerate(zip(widths, depths)):
        side = -(-side // 2)
        if i < 2:
            stages.append(behind(width, Downsample("mbconv"), _mbconv(), depth))
            continue
        # The unit has the attention of the first block.
        blocks = (Block((_feed(),)), *(Block((_attend(width, side), _feed())),) * (depth - 1))
        stages.append(Stage(width, blocks, Downsample("attention", size=side)))
    stem = Stem((StemConv(32, 3, 2, bias=False, norm="batch", activation="silu"), StemConv(64, 3, bias=False)))
    return Genotype(tuple(stages), stem, name="coatnet_0")


def _mbconv() -> Block:
    """BN SiLU expand BN SiLU depthwise SE BN SiLU reduce: activations come before what they feed."""
    b = GraphBuilder()
    conv: dict[str, Any] = {"bias": False}
    x = b.chain(b.input, "silu", ("conv", {"ratio": 4, **conv}), "batch_norm", "silu", "dwconv")
    x = squeeze_excite(b, x, activation="relu")
    return Block((SubBlock(b.build(b.chain(x, "batch_norm", "silu", ("conv", {"ratio": "1/4", **conv}))), "batch"),))


def _attend(width: int, side: int) -> SubBlock:
    b = GraphBuilder()
    mixed = attention(b, b.input, heads_for(width), side)
    return SubBlock(b.build(b.add("conv", mixed, id="project")))


def _feed() -> SubBlock:
    b = GraphBuilder()
    return SubBlock(b.build(mlp(b, b.input, norm=None)))
