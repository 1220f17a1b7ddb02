"""Borrowing a network: whatever a proxy does to it, it is handed back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def borrowed(net: nn.Module, *, train: bool = False, weights: bool = False) -> Iterator[None]:
    """Puts `net` in eval (or train) mode with no gradients stored, and restores it on the way out, errors included.

    Restored bit for bit: the mode of every module, buffers, `requires_grad` and `.grad` of every parameter, and,
    when `weights` says that the caller will change them, the values of the parameters.
    """
    modes = [(module, module.training) for module in net.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in net.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    parameters = [(p, p.requires_grad, p.grad, p.detach().clone() if weights else None) for p in net.parameters()]
    try:
        for p, *_ in parameters:
            p.grad = None
        net.train(train)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for module, name, buffer, value in buffers:
            _restore(buffer, value)
            module._buffers[name] = buffer
        for p, requires_grad, grad, value in parameters:
            if value is not None:
                _restore(p, value)
            p.requires_grad_(requires_grad)
            p.grad = grad


def _restore(tensor: Tensor, value: Tensor) -> None:
    if not torch.equal(tensor, value):
        with torch.no_grad():
            tensor.copy_(value)
