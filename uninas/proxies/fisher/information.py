"""The Fisher information of a network's outputs about selected scalars of its weights, as the user asks for it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher.directions import Form
from uninas.proxies.fisher.locate import is_compiled
from uninas.proxies.fisher.matrix import fisher_matrices
from uninas.proxies.state import preserve_state

Quantiles = Literal[9, 11]
Selection = Literal["first", "random"]


def fisher_information(
    net: nn.Module,
    x: Tensor,
    *,
    fisher: Form = "theory",
    num_scalars: int = 128,
    quantiles: Quantiles | None = None,
    selection: Selection = "first",
    probes: int | None = None,
    generator: torch.Generator | None = None,
    class_chunk: int | None = None,
    sample_chunk: int | None = None,
    jacobian: Literal["taps", "autograd"] = "taps",
    check: bool | None = None,
) -> Tensor:
    """Estimates of the Fisher matrix of `net`, which is handed back as it was. For the arguments see `vkdnw`.

    Args:
        quantiles: of the eigenvalues, that are to be taken; None takes a matrix of any rank.

    Returns:
        G x P x P, float64; their mean is the best estimate. G = 1 without probes.

    Raises:
        ProxyFailure: there is no matrix, or none of the rank that the quantiles need; its `kind` says why.
        ValueError: an argument outside its choices.
    """
    expect(fisher in ("theory", "published"), f"fisher must be 'theory' or 'published', not {fisher!r}")
    expect(jacobian in ("taps", "autograd"), f"jacobian must be 'taps' or 'autograd', not {jacobian!r}")
    expect(quantiles in (None, 9, 11), f"quantiles must be 9 or 11, not {quantiles!r}")
    expect(probes is None or probes >= 2, f"probes must be at least 2, not {probes}")
    for name, chunk in (("class_chunk", class_chunk), ("sample_chunk", sample_chunk)):
        expect(chunk is None or chunk >= 1, f"{name} must be at least 1, not {chunk}")
    if x.dim() != 4 or len(x) < 1:
        raise ProxyFailure("cannot run", f"the input must be B x C x H x W with B >= 1, not {tuple(x.shape)}")
    generator = generator or torch.Generator().manual_seed(0)
    parameters = select_parameters(net, num_scalars, selection, generator)
    check = not is_compiled(net) if check is None else check
    class_chunk = class_chunk or (16 if x.is_cuda else 1)
    with preserve_state(net):
        net.requires_grad_(False)
        return fisher_matrices(
            net, x, parameters, fisher, generator, probes=probes, class_chunk=class_chunk,
            sample_chunk=sample_chunk, taps=jacobian == "taps", check=check,
            least_rank=0 if quantiles is None else needed_rank(len(parameters), quantiles),
        )  # fmt: skip


def needed_rank(scalars: int, quantiles: Quantiles = 9) -> int:
    """The least rank of a P x P matrix with which no quantile of its spectrum is zero for want of samples.

    The lowest decile lies between the eigenvalues floor((P - 1) / 10) and the next, counted from 0: that many may be
    missing. The minimum, which is among the 11, needs them all.
    """
    return scalars - (math.floor((scalars - 1) / 10) if quantiles == 9 else 0)


def select_parameters(
    net: nn.Module, count: int, selection: Selection, generator: torch.Generator
) -> list[nn.Parameter]:
    """At most `count` floating-point parameters of `net`, in the order of `named_parameters()`; shared ones once."""
    expect(selection in ("first", "random"), f"selection must be 'first' or 'random', not {selection!r}")
    expect(count >= 1, f"num_scalars must be at least 1, not {count}")
    parameters = [p for p in net.parameters() if p.is_floating_point() and p.numel()]
    if not parameters:
        raise ProxyFailure("no parameters", "the network has no parameters")
    if selection == "first":
        return parameters[:count]
    chosen = torch.randperm(len(parameters), generator=generator)[:count].sort().values
    return [parameters[i] for i in chosen.tolist()]


def expect(valid: bool, message: str) -> None:
    """Raises ValueError with the message if an argument is not valid."""
    if not valid:
        raise ValueError(message)
