"""L-SWAG: how steady the gradients of the layers are, times how many patterns their gates show."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, at_least_two, gradients_of, loss_of, proxy, weights_of
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.zoo.swap import swap

PARTS = 4
"""Parts of the batch between which gradients are compared, or as many as it has images."""


@proxy(needs={"images", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def lswag_gradients(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Sum over layers of log( sum over weights of 1 / std |g| ), across PARTS = 4 parts of the batch.

    The first term of Casarin, Escalera and Lanz, "L-SWAG: Layer-Sample Wise Activation with Gradients information for
    Zero-Shot NAS on Vision Transformers", CVPR 2025: ZiCo's without the mean. Layers are convolutions and linear
    layers, all of them: which ones the authors leave out is chosen anew for each space. Weights whose gradients do not
    vary are left out.
    """
    return _gradient_term(net, x, generator, labels)


@proxy(needs={"images", "labels", "gradients", "gates"}, cost=Cost.BACKWARD, statistics="batch")
def lswag(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """`lswag_gradients` times SWAP, the number of different patterns of the gates: L-SWAG over all layers."""
    return swap.function(net, x, generator) * _gradient_term(net, x, generator, labels)


def _gradient_term(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None) -> float:
    at_least_two(x)
    weights = weights_of(net)
    count = min(PARTS, len(x))
    part_labels = [None] * count if labels is None else labels.tensor_split(count)
    sums = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    for part, given in zip(x.tensor_split(count), part_labels, strict=True):
        gradients = gradients_of(loss_of(net, part, generator, given), weights)
        sums = [
            (mean + g.abs() / count, square + g.square() / count)
            for (mean, square), g in zip(sums, gradients, strict=True)
        ]
    logarithms = []
    for mean, square in sums:
        variance = square.double() - mean.double().square()
        # What is below the rounding of the squares is no variance.
        varying = variance[variance > torch.finfo(square.dtype).eps * square]
        if len(varying):
            logarithms.append(varying.rsqrt().sum().log())
    if not logarithms:
        raise ProxyFailure("zero gradients", "no weight has a gradient that varies between parts of the batch")
    return float(torch.stack(logarithms).sum())
