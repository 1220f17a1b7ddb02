"""Gates: the activations of a network that let positive inputs through and hold negative ones back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uninas.proxies.failures import ProxyFailure, logits_of

GATES: frozenset[Callable] = frozenset(
    {
        F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu_, F.relu6, F.leaky_relu, F.leaky_relu_,
        F.prelu, torch.prelu, F.rrelu, F.elu, F.elu_, F.selu, F.celu, F.gelu, F.silu, F.mish, F.hardswish,
    }
)  # fmt: skip
"""ReLU and its smooth kin. Sigmoid, tanh and softmax do not gate."""


class _Watch(TorchFunctionMode):
    """Shows the input of every call of a gate to `before`, and its output to `after`.

    Functions are watched and not modules, so that activations without a module count too.
    """

    def __init__(self, batch: int, before: Callable[[Tensor], None], after: Callable[[Tensor], None] | None) -> None:
        super().__init__()
        self.batch, self.before, self.after, self.calls = batch, before, after, 0

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func not in GATES and not _is_relu6(func, args, kwargs or {}):
            return func(*args, **(kwargs or {}))
        x = args[0].detach()
        if all(side % self.batch for side in x.shape):  # no images are in there: a table of biases, as in MaxViT
            return func(*args, **(kwargs or {}))
        if len(x) % self.batch:
            raise ProxyFailure("samples mixed", f"an activation of shape {tuple(x.shape)} has no batch dimension first")
        self.calls += 1
        self.before(x)
        out = func(*args, **(kwargs or {}))  # may be in place
        if self.after is not None:
            self.after(out.detach())
        return out


def _is_relu6(func: Callable, args: tuple, kwargs: dict) -> bool:
    """nn.ReLU6 calls hardtanh, which gates where its least value is 0."""
    return func in (F.hardtanh, F.hardtanh_) and (args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)) == 0


def watch_gates(
    net: nn.Module,
    x: Tensor,
    before: Callable[[Tensor], None],
    after: Callable[[Tensor], None] | None = None,
) -> None:
    """Runs `net` on `x`, B images, without gradients, and shows the tensors in front of and behind its gates.

    Args:
        before: called with the input of every gate: B k x ..., images first. Gates that see no images are passed over.
        after: called with its output; the next gate's input comes after it.

    Raises:
        ProxyFailure: the network calls no gate, or one whose input does not hold the batch in front.
    """
    with torch.no_grad(), _Watch(len(x), before, after) as watch:
        logits_of(net, x)
    if not watch.calls:
        raise ProxyFailure("no gates", "the network calls no ReLU, GELU, SiLU, Hardswish or the like")
