"""NASWOT: how differently a network's gates split a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uninas.proxies.base import Cost, proxy
from uninas.proxies.failures import ProxyFailure, logits_of

GATES: frozenset[Callable] = frozenset(
    {
        F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu_, F.relu6, F.leaky_relu, F.leaky_relu_,
        F.prelu, torch.prelu, F.rrelu, F.elu, F.elu_, F.selu, F.celu, F.gelu, F.silu, F.mish, F.hardswish,
    }
)  # fmt: skip
"""Activations that let positive inputs through and hold negative ones back. Sigmoid, tanh and softmax do not gate."""


class _GateSigns(TorchFunctionMode):
    """Collects, from every call of a gate, the kernel of the signs of its input.

    Functions are watched and not modules, so that activations without a module count too.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch
        self.kernel: Tensor | int = 0
        self.gates = 0

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func in GATES:
            self._note(args[0].detach())
        return func(*args, **(kwargs or {}))

    def _note(self, x: Tensor) -> None:
        if len(x) % self.batch:
            raise ProxyFailure("samples mixed", f"an activation of shape {tuple(x.shape)} has no batch dimension first")
        signs = x.reshape(self.batch, -1).gt(0).to(torch.float32)
        self.gates += signs.shape[1]
        # agreements = x x' + (1 - x)(1 - x'), with one matrix product
        centred = signs - 0.5
        self.kernel = self.kernel + 2 * (centred @ centred.T).double() + signs.shape[1] / 2


@proxy(needs={"noise", "gates"}, cost=Cost.FORWARD, statistics="batch")
def naswot(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """log |det K|, with K[i, j] = N - hamming(c_i, c_j) = number of gates on which images i and j agree.

    Mellor et al., "Neural Architecture Search without Training", ICML 2021. c_i: the signs of the inputs of all N
    gates for image i. A gate is a unit of any activation in GATES: ReLU, and its smooth kin (GELU, SiLU, Hardswish...),
    which also let positive inputs through and hold negative ones back.
    """
    with torch.no_grad(), _GateSigns(len(x)) as signs:
        logits_of(net, x)
    if not isinstance(signs.kernel, Tensor):
        raise ProxyFailure("no gates", "the network calls no ReLU, GELU, SiLU, Hardswish or the like")
    sign, value = torch.linalg.slogdet(signs.kernel / signs.gates)
    if not sign > 0 or not value.isfinite():
        raise ProxyFailure("samples alike", "two images open the same gates everywhere: the kernel is singular")
    return float(value) + len(x) * float(torch.tensor(float(signs.gates)).double().log())
