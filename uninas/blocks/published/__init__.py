"""Published networks, each as its paper (or timm, where the two differ) has it: parameters and numbers are timm's.

A stage starts with a unit of layers (`Downsample`), where the published block changes width or resolution; the blocks
behind it are graphs.
"""

from __future__ import annotations

from collections.abc import Callable

from ...genotype import Genotype
from .coatnet import coatnet_0
from .inverted import efficientnet_b0, mobilenet_v2
from .metaformer import convnext_tiny, poolformer_s12
from .resnet import resnet50

PUBLISHED: dict[str, Callable[..., Genotype]] = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b0": efficientnet_b0,
    "convnext_tiny": convnext_tiny,
    "poolformer_s12": poolformer_s12,
    "coatnet_0": coatnet_0,
}
"""Functions of (widths, depths, input_size) by the name that `network` takes; None stands for the published ones."""

__all__ = ["PUBLISHED", "coatnet_0", "convnext_tiny", "efficientnet_b0", "mobilenet_v2", "poolformer_s12", "resnet50"]
