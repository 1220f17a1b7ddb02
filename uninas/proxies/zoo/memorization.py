"""Memorization: how fast a network learns one batch of noise by heart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.proxies.base import Cost, gradients_of, proxy
from uninas.proxies.failures import ProxyFailure, logits_of
from uninas.proxies.state import forget_caches

STEPS, RATE = 7, 5e-3
"""Of Adam. The rate is above what the networks would be trained with: what trains shakily falls behind."""


@proxy(needs={"noise", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch", changes_weights=True)
def memorization(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Minus the mean cross-entropy behind each of 7 steps of Adam on `x` and random labels, the same at every step.

    Ours. That random labels tell networks apart is from Zhang et al., "Neural Architecture Search with Random Labels",
    CVPR 2021, and that losses on the way do from Ru et al., "Speedy Performance Estimation for Neural Architecture
    Search", NeurIPS 2021, both of whom train for long. It takes 8 forward and 7 backward passes, and no data.
    """
    weights = list(net.parameters())
    optimizer = torch.optim.Adam(weights, lr=RATE)
    logits = logits_of(net, x)
    if labels is None:
        labels = torch.randint(logits.shape[1], (len(x),), generator=generator, device=generator.device)
    labels = labels.to(x.device)
    losses = []
    for step in range(1, STEPS + 1):
        gradients = gradients_of(F.cross_entropy(logits, labels), weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        optimizer.step()
        forget_caches(net)
        logits = _logits_behind(net, x, step)
        losses.append(F.cross_entropy(logits, labels).detach())
    return -float(torch.stack(losses).double().mean())


def _logits_behind(net: nn.Module, x: Tensor, step: int) -> Tensor:
    try:
        return logits_of(net, x)
    except ProxyFailure as failure:
        if failure.kind == "not finite":
            raise ProxyFailure("not finite", f"the logits are not finite behind step {step} of training") from None
        raise
