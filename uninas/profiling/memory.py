"""The most memory that a forward pass needs, as torch's allocators count it.

What they do not see is not in it: the interpreter and libraries, and what oneDNN and cuDNN take for themselves.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """Bytes."""

    weights: int
    """Parameters and buffers."""
    images: int
    activations: int
    """The most that a pass holds beside these at a time: feature maps, and what operations need while they run."""

    @property
    def peak(self) -> int:
        """All of it."""
        return self.weights + self.images + self.activations


def measure_memory(network: nn.Module, images: Tensor) -> Memory:
    """Memory of one pass without gradients.

    On a CPU: allocations and frees during the pass, in order, as torch's profiler notes them. The pass should be the
    network's first: what it keeps for later ones, such as expanded position biases, is then counted. On CUDA:
    `torch.cuda.max_memory_allocated` in the second pass, less what was there before it.

    Args:
        images: B x 3 x H x W on the network's device.
    """
    state = [*network.parameters(), *network.buffers()]
    measure = _cuda if images.device.type == "cuda" else _cpu
    with torch.inference_mode():
        activations = measure(network, images)
    return Memory(sum(map(_bytes, state)), _bytes(images), activations)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _cuda(network: nn.Module, images: Tensor) -> int:
    network(images)  # the first one of a process also takes workspaces of cuBLAS
    torch.cuda.synchronize(images.device)
    torch.cuda.reset_peak_memory_stats(images.device)
    before = torch.cuda.memory_allocated(images.device)
    network(images)
    torch.cuda.synchronize(images.device)
    return torch.cuda.max_memory_allocated(images.device) - before


def _cpu(network: nn.Module, images: Tensor) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's library talks otherwise
    # Without kineto's own records, whose start takes seconds.
    with torch.autograd.profiler.profile(use_kineto=False, profile_memory=True) as profiler:
        network(images)
    recorded: list[Any] = profiler.kineto_results.events()  # type: ignore[union-attr]
    allocations = [event for event in recorded if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(allocations, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
