"""Well-known blocks and networks, written in the graph language."""

from .library import (
    bottleneck,
    conv_attention,
    convnext,
    gated_conv,
    inverted_residual,
    mbconv,
    poolformer,
    residual,
    transformer,
)
from .networks import BLOCKS, KNOWN, NETWORKS, network
from .published import PUBLISHED

__all__ = [
    "BLOCKS",
    "KNOWN",
    "NETWORKS",
    "PUBLISHED",
    "bottleneck",
    "conv_attention",
    "convnext",
    "gated_conv",
    "inverted_residual",
    "mbconv",
    "network",
    "poolformer",
    "residual",
    "transformer",
]
