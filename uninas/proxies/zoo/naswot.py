"""NASWOT: how differently a network's gates split a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, proxy
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.gates import watch_gates


@proxy(needs={"noise", "gates"}, cost=Cost.FORWARD, statistics="batch")
def naswot(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """log |det K|, with K[i, j] = N - hamming(c_i, c_j) = number of gates on which images i and j agree.

    Mellor et al., "Neural Architecture Search without Training", ICML 2021. c_i: the signs of the inputs of all N
    gates for image i. A gate is a unit of any activation in `gates.GATES`: ReLU, and its smooth kin (GELU, SiLU,
    Hardswish...), which also let positive inputs through and hold negative ones back.
    """
    kernel, gates = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device), 0

    def add(before: Tensor) -> None:
        nonlocal kernel, gates
        signs = before.reshape(len(x), -1).gt(0).to(torch.float32)
        gates += signs.shape[1]
        # agreements = s s' + (1 - s)(1 - s'), with one matrix product
        centred = signs - 0.5
        kernel = kernel + 2 * (centred @ centred.T).double() + signs.shape[1] / 2

    watch_gates(net, x, add)
    sign, value = torch.linalg.slogdet(kernel / gates)
    if not sign > 0 or not value.isfinite():
        raise ProxyFailure("samples alike", "two images open the same gates everywhere: the kernel is singular")
    return float(value) + len(x) * float(torch.tensor(float(gates)).double().log())
