"""Where in a network its selected scalars act.

In a network that uninas compiled, at the modules that own them. In any other that is found, with a reference row to
check by, by plain autograd on one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from uninas.compiler.network import Network
from uninas.proxies.failures import ProxyFailure, logits_of

TESTED = ("torch.nn.modules.", "torch.fx.", "timm.layers.drop", "uninas.ops.", "uninas.compiler.")
"""Where the modules come from whose samples do not see each other and whose weights act in their own output alone."""

Taps = dict[nn.Module, list[tuple[int, str]]]


class Survey(NamedTuple):
    """What one sample tells about the network.

    Attributes:
        taps: modules whose output moves with a selected scalar: positions in the selection, and parameter names.
        row: P, the derivative of direction(logits) * logits with respect to the selected scalars.
    """

    taps: Taps
    row: Tensor


def survey(
    net: nn.Module, x: Tensor, parameters: Sequence[nn.Parameter], direction: Callable[[Tensor], Tensor]
) -> Survey:
    """Runs `net` forward and backward on one sample.

    Args:
        net: a classifier in eval mode, its parameters frozen.
        x: 1 x C_in x H x W.
        parameters: P parameters of `net`, each selected for its element 0.
        direction: from logits (1 x C) to a cotangent (1 x C).
    """
    called: set[nn.Module] = set()

    def note(module: nn.Module, args: tuple, out: Any) -> None:
        # Only a module that returns one tensor can be tapped; the others leave their scalars to their parent.
        if isinstance(out, Tensor):
            called.add(module)

    handles = [module.register_forward_hook(note) for module in net.modules()]
    kept = [parameter.grad for parameter in parameters]
    row: dict[int, Tensor] = {}

    def take(position: int, parameter: Tensor) -> None:
        # Gradients of whole weights are as large as the network: each goes as soon as its element 0 is read.
        row[position] = first_elements([parameter.grad], x)[0]
        parameter.grad = None

    for position, parameter in enumerate(parameters):
        parameter.requires_grad_(True).grad = None
        handles.append(parameter.register_post_accumulate_grad_hook(partial(take, position)))
    try:
        logits = logits_of(net, x)
        if logits.requires_grad:
            logits.backward(direction(logits.detach()), inputs=list(parameters))
    except RuntimeError as error:
        raise ProxyFailure("not differentiable", str(error)) from error
    finally:
        for handle in handles:
            handle.remove()
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.requires_grad_(False).grad = gradient
    places = _locate(net, {id(parameters[p]): p for p in row}, called)
    return Survey(places, torch.stack([row.get(p, x.new_zeros(())) for p in range(len(parameters))]))


def is_compiled(net: nn.Module) -> bool:
    """Whether `net` is as `uninas.build` made it, of operations that our tests cover."""
    return type(net) is Network and all(
        type(module).__module__.startswith(TESTED)
        and "forward" not in module.__dict__
        and not module._forward_hooks
        and not module._forward_pre_hooks
        for module in net.modules()
    )


def owners(net: nn.Module, parameters: Sequence[nn.Parameter]) -> Taps:
    """The modules that own `parameters`, P of them."""
    return _locate(net, {id(parameter): p for p, parameter in enumerate(parameters)}, set(net.modules()))


def first_elements(gradients: Sequence[Tensor | None], like: Tensor) -> Tensor:
    """P: element 0 of each gradient, 0 where there is none; of the dtype and device of `like`."""
    return torch.stack([like.new_zeros(()) if g is None else g[(0,) * g.dim()] for g in gradients])


def _locate(net: nn.Module, positions: dict[int, int], called: set[nn.Module]) -> Taps:
    """Maps each place of each parameter to the owning module, or to its nearest ancestor whose forward was called.

    A parent may use a parameter without calling the owner, as nn.MultiheadAttention does with its `out_proj`.
    """
    taps: Taps = {}

    def visit(module: nn.Module, lineage: list[tuple[nn.Module, str]]) -> None:
        for name, parameter in module._parameters.items():
            if id(parameter) not in positions:
                continue
            for ancestor, prefix in lineage:
                if ancestor in called:
                    place = (positions[id(parameter)], prefix + name)
                    if place not in taps.setdefault(ancestor, []):
                        taps[ancestor].append(place)
                    break
        for name, child in module.named_children():
            visit(child, [(child, ""), *((ancestor, f"{prefix}{name}.") for ancestor, prefix in lineage)])

    visit(net, [(net, "")])
    return taps
