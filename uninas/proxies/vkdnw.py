"""VKDNW: the entropy of the spectrum of the Fisher information of a network at initialisation.

Týbl and Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network Weights",
CVPR 2025. For logits z in R^C and P selected scalars theta of the weights:

    p = 0.95 softmax(z) + 0.05 / C            Sigma = diag(p) - p p^T = L L^T
    J = d z / d theta (C x P, per sample)     F = mean over samples of J^T Sigma J
    q = deciles 0.1 ... 0.9 of F's eigenvalues,  t = q / sum(q),  VKDNW = - sum t log t
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher import Directions, Form
from uninas.proxies.jacobian import AutogradJacobian, ScalarJacobian
from uninas.proxies.lean import differentiable_attention, lean
from uninas.proxies.state import borrowed
from uninas.proxies.taps import survey

TOLERANCE = 1e-2
"""Of the check of one sample against plain autograd, relative to its row. Single precision gives about 1e-4."""


@dataclass(frozen=True)
class VKDNW:
    """What `vkdnw` returns.

    Attributes:
        score: the entropy; at most ln 9 for 9 quantiles.
        eigenvalues: P, float64, of the Fisher matrix, ascending, negative rounding errors set to 0.
        fisher: P x P, float64.
        tensors: number of the network's parameter tensors.
    """

    score: float
    eigenvalues: Tensor
    fisher: Tensor
    tensors: int

    @property
    def single(self) -> float:
        """VKDNW_single: orders by number of parameter tensors, then by VKDNW."""
        return self.tensors + self.score


def vkdnw(
    net: nn.Module,
    x: Tensor,
    *,
    fisher: Form = "theory",
    num_scalars: int = 128,
    quantiles: Literal[9, 11] = 9,
    selection: Literal["first", "random"] = "first",
    probes: int | None = None,
    generator: torch.Generator | None = None,
    class_chunk: int | None = None,
    jacobian: Literal["taps", "autograd"] = "taps",
) -> VKDNW:
    """VKDNW of `net` with the weights it has, in eval mode. The network is handed back as it was.

    Args:
        net: classifier, B x C_in x H x W -> B x C, whose samples do not see each other in eval mode.
        x: B x C_in x H x W, of the network's dtype and device. The paper: standard normal noise, B = 64.
        fisher: J^T Sigma J ("theory"), or J^T L^T L J as the authors' code computes it ("published").
        num_scalars: element 0 of this many parameter tensors is selected, or of all if there are fewer.
        quantiles: the nine deciles, or these with the minimum and the maximum.
        selection: the first tensors of `named_parameters()`, or random ones (in that order too).
        probes: None for the exact Fisher matrix, C - 1 backward passes; K estimates it from K random probes a sample.
        generator: for the random selection and the probes; without it, a new one with seed 0.
        class_chunk: backward passes that are batched into one; None picks. More take more memory.
        jacobian: "taps" is fast, checks itself on one sample, and refuses networks on which it would be wrong;
            "autograd" is slow and plain.

    Raises:
        ProxyFailure: there is no score; its `kind` says why.
        ValueError: an argument outside its choices.
    """
    _check(fisher in ("theory", "published"), f"fisher must be 'theory' or 'published', not {fisher!r}")
    _check(jacobian in ("taps", "autograd"), f"jacobian must be 'taps' or 'autograd', not {jacobian!r}")
    _check(probes is None or probes >= 1, f"probes must be at least 1, not {probes}")
    _check(class_chunk is None or class_chunk >= 1, f"class_chunk must be at least 1, not {class_chunk}")
    if x.dim() != 4 or len(x) < 1:
        raise ProxyFailure("cannot run", f"the input must be B x C x H x W with B >= 1, not {tuple(x.shape)}")
    generator = generator or torch.Generator().manual_seed(0)
    parameters = select_parameters(net, num_scalars, selection, generator)
    chunk = class_chunk or (16 if x.is_cuda else 1)
    with borrowed(net), lean(net), differentiable_attention(composite=chunk > 1):
        net.requires_grad_(False)
        information = _information(net, x, parameters, fisher, probes, generator, chunk, jacobian == "taps")
    score, eigenvalues = spectral_entropy(information, quantiles)
    return VKDNW(score, eigenvalues, information, tensors=len(list(net.parameters())))


def select_parameters(
    net: nn.Module, count: int, selection: Literal["first", "random"], generator: torch.Generator
) -> list[nn.Parameter]:
    """At most `count` floating-point parameters of `net`, in the order of `named_parameters()`; shared ones once."""
    _check(selection in ("first", "random"), f"selection must be 'first' or 'random', not {selection!r}")
    _check(count >= 1, f"num_scalars must be at least 1, not {count}")
    parameters = [p for p in net.parameters() if p.is_floating_point() and p.numel()]
    if not parameters:
        raise ProxyFailure("no parameters", "the network has no parameters")
    if selection == "first":
        return parameters[:count]
    chosen = torch.randperm(len(parameters), generator=generator)[:count].sort().values
    return [parameters[i] for i in chosen.tolist()]


def spectral_entropy(fisher: Tensor, quantiles: Literal[9, 11] = 9) -> tuple[float, Tensor]:
    """VKDNW and the ascending eigenvalues of a P x P Fisher matrix.

    Args:
        fisher: P x P, symmetric, float64.
        quantiles: 9 deciles (linearly interpolated), or 11 with the minimum and the maximum.

    Raises:
        ProxyFailure: the matrix is not finite, or the quantiles of its spectrum are all zero.
    """
    _check(quantiles in (9, 11), f"quantiles must be 9 or 11, not {quantiles!r}")
    if not fisher.isfinite().all():
        raise ProxyFailure("not finite", "the Fisher matrix is not finite: gradients overflow at these weights")
    eigenvalues = torch.linalg.eigvalsh(fisher).clamp_min(0)
    levels = torch.linspace(0, 1, 11, dtype=fisher.dtype, device=fisher.device)
    values = torch.quantile(eigenvalues, levels if quantiles == 11 else levels[1:-1])
    total = values.sum()
    if not total > 0:
        raise ProxyFailure("zero fisher", "the spectrum of the Fisher matrix is zero: the outputs ignore the weights")
    shares = values / total
    return float(-torch.xlogy(shares, shares).sum()), eigenvalues


def _information(
    net: nn.Module,
    x: Tensor,
    parameters: Sequence[nn.Parameter],
    form: Form,
    probes: int | None,
    generator: torch.Generator,
    chunk: int,
    taps: bool,
) -> Tensor:
    """P x P Fisher matrix."""
    noise: Tensor | None = None

    def first_direction(logits: Tensor) -> Tensor:
        nonlocal noise
        if probes is not None:
            noise = torch.randn(probes, len(x), logits.shape[1], generator=generator, device=generator.device)
        return Directions(logits, form, noise)[0]

    # Channels-last suits the 1 x 1 convolutions and the norms over channels; it changes no values.
    x = x.contiguous(memory_format=torch.channels_last)
    found = survey(net, x[:1], parameters, first_direction)
    product = ScalarJacobian(net, x, found.taps, len(parameters)) if taps else AutogradJacobian(net, x, parameters)
    directions = Directions(product.logits, form, noise)
    blocks = [range(k, min(k + chunk, len(directions))) for k in range(0, len(directions), chunk)]
    rows = torch.cat([product.pull_back(torch.stack([directions[k] for k in block])) for block in blocks])
    error, scale = (rows[0, 0] - found.row).norm(), found.row.norm()
    if error > TOLERANCE * scale:
        message = (
            f"the derivatives of the first sample are off by {float(error / scale):.2g}: samples see each other, or "
            "a weight is used outside of the module that owns it; jacobian='autograd' computes sample by sample"
        )
        raise ProxyFailure("samples mixed", message)
    return directions.fisher(rows)


def _check(valid: bool, message: str) -> None:
    if not valid:
        raise ValueError(message)
