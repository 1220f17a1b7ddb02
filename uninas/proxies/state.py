"""A network that a proxy works on is handed back as it was, whatever was done to it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

Statistics = Literal["running", "batch"]


@contextmanager
def preserve_state(net: nn.Module, *, statistics: Statistics = "running", weights: bool = False) -> Iterator[None]:
    """Puts `net` in eval mode with no gradients stored, and restores it on the way out, errors included.

    Restored bit for bit: the mode of every module, buffers, `requires_grad` and `.grad` of every parameter, tensors
    that are plain attributes, and the parameters themselves where `weights` is set. Caches are empty within and put
    back after: dictionaries of tensors that are attributes, such as the biases that timm's LeViT keeps in eval mode.

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
    attributes = [found for found in _attributes(net) if isinstance(found[2], Tensor) or _is_cache(found[2])]
    try:
        for module, name, value in attributes:
            module.__dict__[name] = type(value)() if isinstance(value, dict) else value
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
        for module, name, value in attributes:
            module.__dict__[name] = value
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


@contextmanager
def differentiable_attention(*, composite: bool) -> Iterator[None]:
    """Keeps nn.MultiheadAttention off its inference kernel, which has no derivative.

    Args:
        composite: keeps off the fused kernels too, which know neither forward mode nor vmap.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH) if composite else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def copied(net: nn.Module) -> nn.Module:
    """A copy of `net` to do anything with.

    Tensors that the modules computed, such as the weights of `torch.nn.utils.weight_norm`, are copied without their
    history; the modules compute them anew.
    """
    computed = (v for m in net.modules() for v in m.__dict__.values() if isinstance(v, Tensor) and not v.is_leaf)
    return copy.deepcopy(net, {id(tensor): tensor.detach().clone() for tensor in computed})


def forget_caches(net: nn.Module) -> None:
    """Empties the caches, within `preserve_state`: what follows from weights that have changed since."""
    for _, _, value in _attributes(net):
        if _is_cache(value):
            value.clear()


def _attributes(net: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """(module, name, value) of what modules hold beside their parameters, buffers and modules."""
    for module in net.modules():
        for name, value in module.__dict__.items():
            if name not in ("_parameters", "_buffers", "_modules"):
                yield module, name, value


def _is_cache(value: object) -> bool:
    return type(value) is dict and all(isinstance(entry, Tensor) for entry in value.values())


def _restore(tensor: Tensor, value: Tensor) -> None:
    if not torch.equal(tensor, value):
        with torch.no_grad():
            tensor.copy_(value)
