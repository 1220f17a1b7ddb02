"""How a borrowed network is run: the same numbers, by kernels that suit many backward passes through frozen weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from uninas.ops.pool import GlobalAverage
from uninas.proxies.folding import affine, folded, is_affine, is_pointwise, pointwise
from uninas.proxies.state import replaced_forwards

Forward = Callable[[Tensor], Tensor]


@contextmanager
def differentiable_attention(*, composite: bool) -> Iterator[None]:
    """Keeps nn.MultiheadAttention off its inference kernel, which has no derivative.

    Args:
        composite: keeps off the fused kernels too, which know neither forward mode nor vmap.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH) if composite else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def lean(net: nn.Module) -> AbstractContextManager[None]:
    """Runs the common layers of `net`, which is in eval mode, so that going back through them costs least.

    Layers are recognised by the forward that they inherit; those with one of their own are left as they are.
    """
    pairs = folded(net)

    def choose(module: nn.Module) -> Forward | None:
        if module in pairs:
            return pairs[module]
        build = _FORWARDS.get(type(module).forward)
        return None if build is None else build(module)

    return replaced_forwards(net, choose)


def _pointwise(conv: nn.Conv2d) -> Forward | None:
    return (lambda x: pointwise(x, conv.weight, conv.bias)) if is_pointwise(conv) else None


def _affine(norm: nn.BatchNorm2d) -> Forward | None:
    """Batch norm in eval mode as a scale and a shift: its input need not be kept."""

    def forward(x: Tensor) -> Tensor:
        scale, shift = affine(norm)
        return torch.addcmul(shift[:, None, None], x, scale[:, None, None])

    return forward if is_affine(norm) else None


def _mean(pool: nn.Module) -> Forward | None:
    """The average over all positions by a sum, whose gradient is a view; that of a mean fills a tensor."""
    if getattr(pool, "output_size", 1) not in (1, (1, 1)):
        return None

    def forward(x: Tensor) -> Tensor:
        return x.sum((-2, -1), keepdim=True) * (1 / (x.shape[-2] * x.shape[-1]))

    return forward


class _Elementwise(torch.autograd.Function):
    """An activation that keeps its slope: computed once, it serves every backward pass with one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, activation: Forward) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            out = activation(leaf)
            (ctx.slope,) = torch.autograd.grad(out, leaf, torch.ones_like(out))
        return out.detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient * ctx.slope, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:  # type: ignore[override]
        return tangent * ctx.slope


_OUT_OF_PLACE: dict[Callable, Callable[[Any], Forward]] = {
    nn.GELU.forward: lambda m: lambda x: F.gelu(x, approximate=m.approximate),
    nn.SiLU.forward: lambda m: F.silu,
    nn.Hardswish.forward: lambda m: F.hardswish,
    nn.Mish.forward: lambda m: F.mish,
    nn.Sigmoid.forward: lambda m: torch.sigmoid,
    nn.ELU.forward: lambda m: lambda x: F.elu(x, m.alpha),
}


def _activation(module: nn.Module) -> Forward:
    function = _OUT_OF_PLACE[type(module).forward](module)
    return lambda x: _Elementwise.apply(x, function)  # type: ignore[return-value]


_FORWARDS: dict[Callable, Callable[[Any], Forward | None]] = {
    nn.Conv2d.forward: _pointwise,
    nn.BatchNorm2d.forward: _affine,
    nn.AdaptiveAvgPool2d.forward: _mean,
    GlobalAverage.forward: _mean,
    **dict.fromkeys(_OUT_OF_PLACE, _activation),
}
