"""Rewrites of a lowered graph. Each changes how numbers are computed, never the numbers, and never the parameters:
the state dict of a rewritten network is the state dict of the plain one.

A pass is a function of an fx graph that gives the number of its rewrites. What it writes, it writes with `insert_call`,
which wants a rule for the values of the call; the runner checks the graph after every pass that changed it.
"""

from .attention import defer_biases, fuse_attention
from .batching import batch_branches
from .runner import Pass, run_passes
from .upsampling import sink_upsampling

PASSES: tuple[Pass, ...] = (fuse_attention, batch_branches, sink_upsampling, defer_biases)
"""The default rewrites, in order."""

__all__ = ["PASSES", "Pass", "batch_branches", "defer_biases", "fuse_attention", "run_passes", "sink_upsampling"]
