"""SWAP: how many different patterns the gates of a network show over a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, derived, proxy
from uninas.proxies.gates import watch_gates

MU, SIGMA = 1e3, 1e6
"""Of the regularised form, for parameters in thousands: its best size, and how fast it falls off (squared). Ours; the
authors set both anew for each space."""
BITS = 62
"""Images whose signs fit into one whole number."""


@proxy(needs={"noise", "gates"}, cost=Cost.FORWARD, statistics="batch")
def swap(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Number of different patterns of the gates: the pattern of a gate is which images of the batch open it.

    Peng et al., "SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS", ICLR 2024, who take 16 images: with
    many, every gate has a pattern of its own, and what is counted is gates.
    """
    codes: list[Tensor] = []
    watch_gates(net, x, lambda before: codes.append(pattern_codes(before.reshape(len(x), -1).gt(0))))
    patterns = torch.cat(codes)
    return float(len(patterns.flatten().unique() if patterns.shape[1] == 1 else patterns.unique(dim=0)))


@derived(of=swap)
def swap_regularised(net: nn.Module, count: float) -> float:
    """log SWAP - (parameters / 1e3 - MU)^2 / SIGMA, MU = 1,000, SIGMA = 1e6: the most for networks of 1 M parameters.

    The logarithm of the authors' SWAP * exp(- (parameters / 1e3 - mu)^2 / sigma), which ranks alike and does not vanish
    far from mu. To judge networks given their size whatever it is, see `residual(swap)` of aggregates.
    """
    thousands = sum(p.numel() for p in net.parameters()) / 1e3
    return math.log(count) - (thousands - MU) ** 2 / SIGMA


def pattern_codes(signs: Tensor) -> Tensor:
    """B x N booleans -> N x ceil(B / BITS) whole numbers, equal for equal columns alone."""
    words = [(part.long() << torch.arange(len(part), device=part.device)[:, None]).sum(0) for part in signs.split(BITS)]
    return torch.stack(words, 1)
