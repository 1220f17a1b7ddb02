"""Jacov: how differently a network's outputs depend on the pixels of different images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, at_least_two, gradients_of, proxy
from uninas.proxies.failures import ProxyFailure, logits_of


@proxy(needs={"images", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def jacov(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """- sum of log(v + k) + 1 / (v + k), k = 1e-5, v the eigenvalues of the correlations between the images' Jacobians.

    Mellor et al., "Neural Architecture Search without Training", arXiv 2006.04647v1, as in the tables of Abdelfattah et
    al., ICLR 2021. The Jacobian of an image: the gradient of the sum of its logits with respect to its pixels.
    """
    at_least_two(x)
    x = x.clone().requires_grad_()
    (gradients,) = gradients_of(logits_of(net, x).sum(), [x])
    correlations = torch.corrcoef(gradients.flatten(1).double())
    if not correlations.isfinite().all():
        raise ProxyFailure("not finite", "the outputs do not change with the pixels of some image")
    shifted = torch.linalg.eigvalsh(correlations).clamp_min(0) + 1e-5
    return -float((shifted.log() + 1 / shifted).sum())
