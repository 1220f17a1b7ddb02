"""Proxies from the statistics of gradients across images and batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, gradients_of, loss_of, proxy, weights_of
from uninas.proxies.failures import ProxyFailure, logits_of


@proxy(needs={"images", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def jacov(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """- sum of log(v + k) + 1 / (v + k), k = 1e-5, v the eigenvalues of the correlations between the images' Jacobians.

    Mellor et al., "Neural Architecture Search without Training", arXiv 2006.04647v1, as in the tables of Abdelfattah et
    al., ICLR 2021. The Jacobian of an image: the gradient of the sum of its logits with respect to its pixels.
    """
    _at_least_two(x)
    x = x.clone().requires_grad_()
    (gradients,) = gradients_of(logits_of(net, x).sum(), [x])
    correlations = torch.corrcoef(gradients.flatten(1).double())
    if not correlations.isfinite().all():
        raise ProxyFailure("not finite", "the outputs do not change with the pixels of some image")
    shifted = torch.linalg.eigvalsh(correlations).clamp_min(0) + 1e-5
    return -float((shifted.log() + 1 / shifted).sum())


@proxy(needs={"images", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def zico(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Sum over layers of log( sum over weights of mean |g| / std g ), across two batches: the halves of `x`.

    Li et al., "ZiCo: Zero-shot NAS via inverse coefficient of variation on gradients", ICLR 2023. Layers are
    convolutions and linear layers; weights whose gradients do not vary are left out, and layers of only such weights.
    """
    _at_least_two(x)
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


def _at_least_two(x: Tensor) -> None:
    if len(x) < 2:
        raise ProxyFailure("too few samples", f"at least 2 images are compared, got {len(x)}")
