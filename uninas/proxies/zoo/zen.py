"""Zen-score: the expected change of the features with the input, for Gaussian weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, proxy
from uninas.proxies.failures import ProxyFailure, logits_of

STEP = 1e-2


@proxy(needs={"noise"}, cost=Cost.FORWARD, statistics="batch", changes_weights=True)
def zen(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """log E || f(x) - f(x + 0.01 e) ||_1 + sum over batch norms of log sqrt(mean of their variances).

    Lin et al., "Zen-NAS", ICCV 2021. f: the features before global pooling; e: standard normal noise; weights of
    convolutions and linear layers standard normal, biases 0. The variances undo what batch norms take out of the
    scale; as in the authors' code they are the running variances after the two passes. Other norms are left alone.
    """
    _gaussian(net, generator)
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
    noise = torch.randn(x.shape, generator=generator, device=generator.device).to(x)
    with torch.no_grad():
        difference = feature_map(net, x) - feature_map(net, x + STEP * noise)
    change = difference.double().abs().flatten(1).sum(1).mean()
    variances = [norm.running_var.double().mean() for norm in norms if norm.running_var is not None]
    scale = sum(float(variance.sqrt().log()) for variance in variances)
    return float(change.log()) + scale


def feature_map(net: nn.Module, x: Tensor) -> Tensor:
    """`net.forward_features(x)` where there is one, else the last B x C x H x W output of a leaf module with H W > 1.

    Raises:
        ProxyFailure: there is no such output.
    """
    extract: Callable[[Tensor], Any] | None = getattr(net, "forward_features", None)
    if callable(extract):
        features = extract(x)
        if isinstance(features, Tensor):
            return features
    last: list[Tensor] = []

    def note(module: nn.Module, args: tuple, out: Any) -> None:
        if isinstance(out, Tensor) and out.dim() == 4 and out.shape[2] * out.shape[3] > 1:
            last[:] = [out.clone()]

    handles = [m.register_forward_hook(note) for m in net.modules() if not any(m.children())]
    try:
        logits_of(net, x)
    finally:
        for handle in handles:
            handle.remove()
    if not last:
        raise ProxyFailure("no blocks", "no module of the network puts out a B x C x H x W feature map")
    return last[0]


def _gaussian(net: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator, device=generator.device))
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)) and module.affine:
                module.weight.fill_(1)
                module.bias.zero_()
