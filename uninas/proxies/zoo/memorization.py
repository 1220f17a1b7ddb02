"""Memorization: how fast a network learns one batch of noise by heart."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.adam import adam

from uninas.proxies.base import Cost, gradients_of, proxy
from uninas.proxies.failures import ProxyFailure, logits_of
from uninas.proxies.state import forget_caches

STEPS, RATE = 3, 5e-3
"""Of Adam. The rate is above what the networks would be trained with: what trains shakily falls behind. Later steps say
little more (of 90 trained networks, tau is .61 with 3 and .63 with 7), and soon everything is known by heart."""
ADAM: dict[str, Any] = {
    "lr": RATE, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False, "maximize": False,
    "fused": True,
}  # fmt: skip


@proxy(needs={"noise", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch", changes_weights=True)
def memorization(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """Minus the mean cross-entropy behind each of 3 steps of Adam on `x` and random labels, the same at every step.

    Ours. That random labels tell networks apart is from Zhang et al., "Neural Architecture Search with Random Labels",
    CVPR 2021, and that losses on the way do from Ru et al., "Speedy Performance Estimation for Neural Architecture
    Search", NeurIPS 2021, both of whom train for long. It takes 4 forward and 3 backward passes, and no data.
    """
    weights: list[Tensor] = list(net.parameters())
    means, squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    steps = [torch.zeros((), device=weight.device) for weight in weights]
    logits = logits_of(net, x)
    if labels is None:
        labels = torch.randint(logits.shape[1], (len(x),), generator=generator, device=generator.device)
    labels = labels.to(x.device)
    losses = []
    for step in range(1, STEPS + 1):
        gradients = gradients_of(F.cross_entropy(logits, labels), weights)
        with torch.no_grad():  # not torch.optim.Adam, whose first step takes seconds to import a compiler
            adam(weights, gradients, means, squares, [], steps, **ADAM)
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
