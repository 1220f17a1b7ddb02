"""A few steps of Adam: what the proxies that train for a moment share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from uninas.proxies.base import gradients_of
from uninas.proxies.failures import ProxyFailure, logits_of
from uninas.proxies.state import forget_caches

STEPS, RATE = 3, 5e-3
"""The rate is above what the networks would be trained with: what trains shakily falls behind."""
SMALL, FALL = 1_200_000, 2 / 3
"""Parameters up to which that is so, and the exponent with which the rate falls with more of them. Adam changes every
weight by as much, so what comes out of a layer changes the more, the wider the layer is: the rate that a network bears
falls with its width (Yang et al., "Tensor Programs V", 2022), and somewhat with its depth. At one rate for all, those
of 30 M parameters are thrown off alike."""
ADAM: dict[str, Any] = {
    "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False, "maximize": False,
    "fused": True,
}  # fmt: skip


def rate_for(params: int) -> float:
    """The learning rate of a network of so many parameters."""
    return RATE * (SMALL / max(params, SMALL)) ** FALL


class FewSteps:
    """Training of a network whose weights are put back by whoever calls."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.weights: list[Tensor] = list(net.parameters())
        self.means, self.squares = ([torch.zeros_like(weight) for weight in self.weights] for _ in range(2))
        self.counts = [torch.zeros((), device=weight.device) for weight in self.weights]
        self.rate = rate_for(sum(weight.numel() for weight in self.weights))
        self.done = 0

    def logits(self, x: Tensor) -> Tensor:
        """B x C logits, behind the steps so far. Raises ProxyFailure: they are not finite, or there are none."""
        try:
            return logits_of(self.net, x)
        except ProxyFailure as failure:
            if failure.kind == "not finite" and self.done:
                text = f"the logits are not finite behind step {self.done} of training"
                raise ProxyFailure("not finite", text) from None
            raise

    def step(self, loss: Tensor) -> None:
        """One step of Adam down the gradient of `loss`."""
        gradients = gradients_of(loss, self.weights)
        with torch.no_grad():  # not torch.optim.Adam, whose first step takes seconds to import a compiler
            adam(self.weights, gradients, self.means, self.squares, [], self.counts, lr=self.rate, **ADAM)
        forget_caches(self.net)
        self.done += 1
