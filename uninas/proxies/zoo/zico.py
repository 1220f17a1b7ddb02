"""ZiCo: how steady the gradients of the weights are across batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, at_least_two, gradients_of, loss_of, proxy, weights_of
from uninas.proxies.failures import ProxyFailure


@proxy(needs={"images", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def zico(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Sum over layers of log( sum over weights of mean |g| / std g ), across two batches: the halves of `x`.

    Li et al., "ZiCo: Zero-shot NAS via inverse coefficient of variation on gradients", ICLR 2023. Layers are
    convolutions and linear layers; weights whose gradients do not vary are left out, and layers of only such weights.
    """
    at_least_two(x)
    weights = weights_of(net)
    halves = x.tensor_split(2)
    half_labels = (None, None) if labels is None else labels.tensor_split(2)
    batches = [
        gradients_of(loss_of(net, half, generator, given), weights)
        for half, given in zip(halves, half_labels, strict=True)
    ]
    logarithms = []
    for first, second in zip(*batches, strict=True):
        mean, deviation = (first.abs() + second.abs()) / 2, (first - second).abs() / 2
        varying = deviation > 0
        total = float((mean[varying] / deviation[varying]).sum(dtype=torch.float64))
        if total > 0:
            logarithms.append(torch.tensor(total, dtype=torch.float64).log())
    if not logarithms:
        raise ProxyFailure("zero gradients", "no weight has a gradient that varies between the two batches")
    return float(torch.stack(logarithms).sum())
