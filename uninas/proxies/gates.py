"""Gates: the activations of a network that let positive inputs through and hold negative ones back.

In a network of ours the operations that say so (`Op.is_gate`). In any network, functions that are known to: activations
need not be modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uninas.ops import operation_of
from uninas.proxies.failures import ProxyFailure, logits_of

GATES: frozenset[Callable] = frozenset(
    {
        F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu_, F.relu6, F.leaky_relu, F.leaky_relu_,
        F.prelu, torch.prelu, F.rrelu, F.elu, F.elu_, F.selu, F.celu, F.gelu, F.silu, F.mish, F.hardswish,
    }
)  # fmt: skip
"""ReLU and its smooth kin. Sigmoid, tanh and softmax do not gate."""


class _Watch(TorchFunctionMode):
    """Shows the input of every call of a gate to `before`, and its output to `after`."""

    def __init__(self, batch: int, before: Callable[[Tensor], None], after: Callable[[Tensor], None] | None) -> None:
        super().__init__()
        self.batch, self.before, self.after, self.calls = batch, before, after, 0
        self._entered: list[bool] = []
        """Of the modules that run: whether the output is to be shown. What is called inside of them is part of them."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if self._entered or (func not in GATES and not _is_relu6(func, args, kwargs)):
            return func(*args, **kwargs)
        self.enter(None, args)
        return self.leave(None, args, func(*args, **kwargs))  # may be in place

    def enter(self, module: nn.Module | None, args: tuple) -> None:
        """Shows an input, unless there are no images in it."""
        x = args[0].detach()
        holds_images = any(side % self.batch == 0 for side in x.shape)  # else a table of biases, as in MaxViT
        if holds_images and len(x) % self.batch:
            raise ProxyFailure("samples mixed", f"an activation of shape {tuple(x.shape)} has no batch dimension first")
        self._entered.append(holds_images)
        if holds_images:
            self.calls += 1
            self.before(x)

    def leave(self, module: nn.Module | None, args: tuple, out: Tensor) -> Tensor:
        """Shows the output that belongs to the last input."""
        if self._entered.pop() and self.after is not None:
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
    watch = _Watch(len(x), before, after)
    gates = [m for m in net.modules() if (op := operation_of(m)) is not None and op.is_gate]
    handles = [gate.register_forward_pre_hook(watch.enter) for gate in gates]
    handles += [gate.register_forward_hook(watch.leave) for gate in gates]
    try:
        with torch.no_grad(), watch:
            logits_of(net, x)
    finally:
        for handle in handles:
            handle.remove()
    if not watch.calls:
        raise ProxyFailure("no gates", "the network calls no ReLU, GELU, SiLU, Hardswish or the like")
