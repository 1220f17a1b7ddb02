"""d out / d theta_0: how a module's output moves with the first element of one of its parameters.

The module's input is held fixed. A derivative that is zero outside a few slices (one channel, say) is kept as
those slices only. Common layers have a closed formula; every other module is differentiated in forward mode.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map_only

from uninas.proxies.failures import ProxyFailure
from uninas.proxies.state import differentiable_attention

_FIRST = slice(0, 1)


class Derivative(NamedTuple):
    """`values` at `out[index]`, zero elsewhere. `values` broadcasts against `out[index]`."""

    index: tuple[Any, ...]
    values: Tensor


def derivative(module: nn.Module, name: str, args: tuple, kwargs: dict, out: Tensor) -> Derivative | None:
    """Derivative of `out = module(*args, **kwargs)` with respect to element 0 of the parameter `name`.

    Args:
        module: any module; `name` may be dotted (a parameter of a submodule).
        args, kwargs: what the module was called with.
        out: what it returned, batch first.

    Returns:
        The derivative, or None where the output does not depend on the parameter.
    """
    # Dispatch on the forward that is inherited, not on the class: a subclass that overrides it computes another thing.
    formula = _FORMULAS.get(type(module).forward)
    # A parameter of another name, as of a weight that is normalised, is not the one of the formula.
    own = name in ("weight", "bias") and len(args) == 1 and not kwargs
    if own and isinstance(args[0], Tensor) and args[0].dim() == out.dim():
        if formula is not None:
            return formula(module, name, args[0].detach(), out)
        if isinstance(module, nn.LayerNorm) and (found := _norm_over_channels(module, name, args[0].detach(), out)):
            return found
    return _forward_mode(module, name, args, kwargs)


def _forward_mode(module: nn.Module, name: str, args: tuple, kwargs: dict) -> Derivative | None:
    parameter = module.get_parameter(name).detach()
    tangent = torch.zeros_like(parameter)
    tangent[(0,) * tangent.dim()] = 1
    args, kwargs = tree_map_only(Tensor, Tensor.detach, (args, kwargs))

    def run(value: Tensor) -> Tensor:
        # Tied copies are left alone: each place where a shared parameter is used has its own derivative.
        return functional_call(module, {name: value}, args, kwargs, tie_weights=False)

    with differentiable_attention(composite=True):
        try:
            with torch.no_grad(), forward_ad.dual_level():
                with warnings.catch_warnings():  # torch's own, when it first loads its forward-mode formulas
                    warnings.simplefilter("ignore", FutureWarning)
                    dual = forward_ad.make_dual(parameter, tangent)
                values = forward_ad.unpack_dual(run(dual)).tangent
        except NotImplementedError:  # a layer without a formula, such as weight normalisation: by two backward passes
            values = cast(Tensor, torch.autograd.functional.jvp(run, parameter, tangent)[1])
    return None if values is None else _cut(values)


def _cut(values: Tensor) -> Derivative | None:
    """Keeps the smallest box, over all dimensions but the batch, outside of which `values` is zero."""
    index: list[slice] = [slice(None)]
    for dim in range(1, values.dim()):
        used = values.ne(0).movedim(dim, 0).flatten(1).any(1).nonzero().flatten()
        if used.numel() == 0:
            return None
        first, last = int(used[0]), int(used[-1])
        index.append(slice(first, last + 1))
        values = values.narrow(dim, first, last + 1 - first)
    return Derivative(tuple(index), values.clone())


def _linear(module: nn.Linear, name: str, x: Tensor, out: Tensor) -> Derivative:
    return Derivative((..., _FIRST), x[..., :1].clone() if name == "weight" else out.new_ones(()))


def _conv(module: nn.modules.conv._ConvNd, name: str, x: Tensor, out: Tensor) -> Derivative:
    """Weight [0, 0, 0...] joins input channel 0, at the first position under the kernel, to output channel 0."""
    if name == "bias":
        return Derivative((slice(None), _FIRST), out.new_ones(()))
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = F.pad(x[:, :1], module._reversed_padding_repeated_twice, mode)
    positions = [
        slice(0, (size - 1) * stride + 1, stride) for size, stride in zip(out.shape[2:], module.stride, strict=True)
    ]
    return Derivative((slice(None), _FIRST), padded[(slice(None), _FIRST, *positions)].clone())


def _batch_norm(module: nn.modules.batchnorm._BatchNorm, name: str, x: Tensor, out: Tensor) -> Derivative:
    index = (slice(None), _FIRST)
    if name == "bias":
        return Derivative(index, out.new_ones(()))
    if module.running_mean is None or module.running_var is None:
        raise ProxyFailure("samples mixed", "a batch norm without running statistics sees the whole batch; track them")
    return Derivative(index, (x[index] - module.running_mean[0]) * torch.rsqrt(module.running_var[0] + module.eps))


def _layer_norm(module: nn.LayerNorm, name: str, x: Tensor, out: Tensor) -> Derivative:
    dims = len(module.normalized_shape)
    index = (..., *[_FIRST] * dims)
    if name == "bias":
        return Derivative(index, out.new_ones(()))
    variance, mean = torch.var_mean(x, dim=list(range(-dims, 0)), correction=0, keepdim=True)
    return Derivative(index, (x[index] - mean) * torch.rsqrt(variance + module.eps))


def _norm_over_channels(module: nn.LayerNorm, name: str, x: Tensor, out: Tensor) -> Derivative | None:
    """For the layer norms over dimension 1 that networks define; None if this is something else."""
    if x.dim() < 3 or module.normalized_shape != x.shape[1:2]:
        return None
    values = F.layer_norm(x.movedim(1, -1), module.normalized_shape, eps=module.eps)[..., :1].movedim(-1, 1)
    index = (slice(None), _FIRST)
    scale, shift = module.weight[0], 0 if module.bias is None else module.bias[0]
    if not torch.allclose(scale * values + shift, out[index], rtol=1e-4, atol=1e-4):
        return None
    return Derivative(index, out.new_ones(()) if name == "bias" else values.clone())


def _group_norm(module: nn.GroupNorm, name: str, x: Tensor, out: Tensor) -> Derivative:
    index = (slice(None), _FIRST)
    if name == "bias":
        return Derivative(index, out.new_ones(()))
    group = x[:, : module.num_channels // module.num_groups]
    variance, mean = torch.var_mean(group, dim=list(range(1, x.dim())), correction=0, keepdim=True)
    return Derivative(index, (x[index] - mean) * torch.rsqrt(variance + module.eps))


_FORMULAS: dict[Callable, Callable[..., Derivative]] = {
    nn.Linear.forward: _linear,
    nn.Conv1d.forward: _conv,
    nn.Conv2d.forward: _conv,
    nn.Conv3d.forward: _conv,
    nn.modules.batchnorm._BatchNorm.forward: _batch_norm,
    nn.LayerNorm.forward: _layer_norm,
    nn.GroupNorm.forward: _group_norm,
}
