"""Rewrites of a lowered graph. Each changes how numbers are computed, never the numbers, and never the parameters:
the state dict of a rewritten network is the state dict of the plain one.
"""

from .attention import defer_biases, fuse_attention
from .batching import batch_branches
from .upsampling import sink_upsampling

PASSES = (fuse_attention, batch_branches, sink_upsampling, defer_biases)
"""The default rewrites, in order."""

__all__ = ["PASSES", "batch_branches", "defer_biases", "fuse_attention", "sink_upsampling"]
