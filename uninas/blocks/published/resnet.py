"""ResNet-50 (He et al., "Deep Residual Learning for Image Recognition", 2016), its stride in the 3 x 3 convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from ...genotype import Downsample, Genotype, Head, Stem, StemConv
from ..library import bottleneck
from .base import behind, chosen


def resnet50(
    widths: Sequence[int] | None = None, depths: Sequence[int] | None = None, input_size: int = 224
) -> Genotype:
    """25.6 M parameters; timm's `resnet50`. Widths are those that the stages put out."""
    stem = Stem((StemConv(64, 7, 2, bias=False, norm="batch", activation="relu", pool="max"),))
    shape = zip(chosen(widths, (256, 512, 1024, 2048), "widths"), chosen(depths, (3, 4, 6, 3), "depths"), (1, 2, 2, 2))
    stages = [behind(w, Downsample("bottleneck", stride=stride), bottleneck(w), d) for w, d, stride in shape]
    return Genotype(tuple(stages), stem, Head(norm=None), name="resnet50")
