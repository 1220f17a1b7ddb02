"""Networks of inverted residuals: MobileNetV2 (Sandler et al., 2018) and EfficientNet-B0 (Tan and Le, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from ...genotype import Downsample, Genotype, Head, Stage, Stem, StemConv
from ..library import inverted_residual
from .base import behind, chosen


def mobilenet_v2(
    widths: Sequence[int] | None = None, depths: Sequence[int] | None = None, input_size: int = 224
) -> Genotype:
    """3.5 M parameters; timm's `mobilenetv2_100`."""
    widths = chosen(widths, (16, 24, 32, 64, 96, 160, 320), "widths")
    depths = chosen(depths, (1, 2, 3, 4, 3, 3, 1), "depths")
    kernels, strides = (3,) * 7, (1, 2, 2, 2, 1, 2, 1)
    return _inverted("mobilenet_v2", widths, depths, kernels, strides, "relu6", squeeze=None)


def efficientnet_b0(
    widths: Sequence[int] | None = None, depths: Sequence[int] | None = None, input_size: int = 224
) -> Genotype:
    """5.3 M parameters; timm's `efficientnet_b0`. Squeeze-excite goes through a quarter of a block's channels."""
    widths = chosen(widths, (16, 24, 40, 80, 112, 192, 320), "widths")
    depths = chosen(depths, (1, 2, 2, 3, 3, 4, 1), "depths")
    kernels, strides = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)
    return _inverted("efficientnet_b0", widths, depths, kernels, strides, "silu", squeeze=4)


def _inverted(
    name: str,
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    kernels: tuple[int, ...],
    strides: tuple[int, ...],
    activation: str,
    squeeze: int | None,
) -> Genotype:
    """Stages of inverted residuals behind a stem of 32 channels, and a 1 x 1 convolution to 1280 before the pool.

    Args:
        squeeze: a block's channels to those that squeeze-excite goes through; None for none.
    """
    stages: list[Stage] = []
    for i, (width, depth, kernel, stride) in enumerate(zip(widths, depths, kernels, strides)):
        ratio = 1 if i == 0 else 6
        squeezed = squeeze and squeeze * ratio  # of the widened map
        unit = Downsample(
            "inverted", stride=stride, ratio=ratio, kernel=kernel, activation=activation, squeeze=squeezed
        )
        block = inverted_residual(width, 6, kernel, activation=activation, squeeze=squeeze and 6 * squeeze)
        stages.append(behind(width, unit, block, depth))
    stem = Stem((StemConv(32, 3, 2, bias=False, norm="batch", activation=activation),))
    return Genotype(tuple(stages), stem, Head("batch", activation, width=1280), name=name)
