"""Forward passes that are cheap to go back through, many times, while weights are frozen: the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.ops.modules.pool import GlobalAverage
from uninas.proxies.state import replaced_forwards

Forward = Callable[[Tensor], Tensor]


def fast_backward(net: nn.Module) -> AbstractContextManager[None]:
    """Runs the common layers of `net`, which is in eval mode, so that going back through them costs least.

    Layers are recognised by the forward that they inherit; those with one of their own are left as they are.
    """

    def choose(module: nn.Module) -> Forward | None:
        build = _FORWARDS.get(type(module).forward)
        return None if build is None else build(module)

    return replaced_forwards(net, choose)


def _pointwise(conv: nn.Conv2d) -> Forward | None:
    """A 1 x 1 convolution as one matrix product over all positions of the batch.

    For channels-last input, no copy. On one CPU thread about twice as fast as PyTorch's own, which takes small
    batches image by image.
    """
    plain = set(conv.kernel_size) == {1} and set(conv.stride) == {1} and conv.groups == 1
    if not plain or any(conv._reversed_padding_repeated_twice):
        return None
    return lambda x: F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)


def _affine(norm: nn.modules.batchnorm._BatchNorm) -> Forward | None:
    """Batch norm in eval mode as a scale and a shift: its input need not be kept."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None or norm.weight is None or norm.bias is None:
        return None

    def forward(x: Tensor) -> Tensor:
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        shift = norm.bias - mean * scale
        shape = (-1, *[1] * (x.dim() - 2))  # B x C, B x C x L or B x C x H x W: one forward serves them all
        return torch.addcmul(shift.view(shape), x, scale.view(shape))

    return forward


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
    nn.modules.batchnorm._BatchNorm.forward: _affine,
    nn.AdaptiveAvgPool2d.forward: _mean,
    GlobalAverage.forward: _mean,
    **dict.fromkeys(_OUT_OF_PLACE, _activation),
}
