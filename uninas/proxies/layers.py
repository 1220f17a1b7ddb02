"""The outputs of a network's weighted layers, for proxies that look at every one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from uninas.proxies.blocks import by_position
from uninas.proxies.failures import ProxyFailure, logits_of

T = TypeVar("T")


def layer_outputs(net: nn.Module, x: Tensor, function: Callable[[Tensor], T], positions: int = 1) -> list[T]:
    """Runs `net` on `x` without gradients; `function` of the output of each call of a convolution or linear layer.

    Args:
        function: of N x C, float64: the positions of all images, by channels. Outputs are seen one at a time.
        positions: layers with fewer positions in all are passed over.

    Raises:
        ProxyFailure: there are no such layers, or a layer's output is not finite.
    """
    found: list[T] = []

    def note(module: nn.Module, args: tuple, out: Any) -> None:
        linear = isinstance(module, nn.Linear)
        rows = out.detach().flatten(0, -2) if linear or out.dim() == 2 else by_position(out.detach())
        if not rows.isfinite().all():
            raise ProxyFailure("not finite", "a layer's output is not finite")
        if len(rows) >= positions:
            found.append(function(rows.double()))

    layers = [m for m in net.modules() if isinstance(m, (nn.modules.conv._ConvNd, nn.Linear))]
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            logits_of(net, x)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise ProxyFailure("no parameters", "no convolution or linear layer of the network puts out enough positions")
    return found
