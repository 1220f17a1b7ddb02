"""Borrowing a network: whatever a proxy does to it, it is handed back as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

Statistics = Literal["running", "batch"]


@contextmanager
def borrowed(net: nn.Module, *, statistics: Statistics = "running", weights: bool = False) -> Iterator[None]:
    """Puts `net` in eval mode with no gradients stored, and restores it on the way out, errors included.

    Restored bit for bit: the mode of every module, buffers, `requires_grad` and `.grad` of every parameter, and the
    parameters themselves where `weights` is set.

    Args:
        statistics: what batch norms use; with "batch" they run as in training, while dropout and the like stay off.
        weights: the parameters may be changed: they are copies.
    """
    modes = [(module, module.training) for module in net.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in net.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    parameters = [(p, p.requires_grad, p.grad, p.data) for p in net.parameters()]
    try:
        for p, *_ in parameters:
            p.grad = None
            if weights:
                p.data = p.data.clone()
        for module in net.modules():
            module.training = statistics == "batch" and isinstance(module, nn.modules.batchnorm._BatchNorm)
        with torch.enable_grad():  # whatever the caller does
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for module, name, buffer, value in buffers:
            _restore(buffer, value)
            module._buffers[name] = buffer
        for p, requires_grad, grad, data in parameters:
            p.grad = None  # before the data: their dtypes must agree
            if weights:
                p.data = data
            p.requires_grad_(requires_grad)
            p.grad = grad


@contextmanager
def replaced_forwards(
    net: nn.Module, choose: Callable[[nn.Module], Callable[[Tensor], Tensor] | None]
) -> Iterator[None]:
    """Within, every module of `net` for which `choose` gives a function runs that instead of its `forward`."""
    changed = []
    try:
        for module in net.modules():
            forward = None if "forward" in module.__dict__ else choose(module)
            if forward is not None:
                module.__dict__["forward"] = forward
                changed.append(module)
        yield
    finally:
        for module in changed:
            del module.__dict__["forward"]


def _restore(tensor: Tensor, value: Tensor) -> None:
    if not torch.equal(tensor, value):
        with torch.no_grad():
            tensor.copy_(value)
