"""VKDNW: the entropy of the spectrum of the Fisher information of a network at initialisation.

Týbl and Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network Weights",
CVPR 2025. For logits z in R^C and P selected scalars theta of the weights:

    p = 0.95 softmax(z) + 0.05 / C            Sigma = diag(p) - p p^T = L L^T
    J = d z / d theta (C x P, per sample)     F = mean over samples of J^T Sigma J
    q = deciles 0.1 ... 0.9 of F's eigenvalues,  t = q / sum(q),  VKDNW = - sum t log t
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from uninas.proxies.estimate import fisher_matrices
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher import Form
from uninas.proxies.lean import differentiable_attention, lean
from uninas.proxies.state import borrowed
from uninas.proxies.taps import is_compiled


@dataclass(frozen=True)
class VKDNW:
    """What `vkdnw` returns.

    Attributes:
        score: the entropy; at most ln 9 for 9 quantiles.
        eigenvalues: P, float64, of the Fisher matrix, ascending, negative rounding errors set to 0.
        fisher: P x P, float64.
        tensors: number of the network's parameter tensors.
        standard_error: of the score, from the scatter of the probes; 0 if it is exact.
    """

    score: float
    eigenvalues: Tensor
    fisher: Tensor
    tensors: int
    standard_error: float = 0.0

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
    sample_chunk: int | None = None,
    jacobian: Literal["taps", "autograd"] = "taps",
    check: bool | None = None,
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
        class_chunk: backward passes that are batched into one; None picks: 1 on a CPU, where only their ends gain from
            it and always are. More take more memory.
        sample_chunk: samples that are worked on at a time; None bounds their pixels. More take more memory.
        jacobian: "taps" is fast, "autograd" is slow and plain.
        check: the fast way first compares one sample with the plain way, and refuses networks on which it would be
            wrong. None checks all but those that `uninas.build` made, whose operations are tested for it.

    Raises:
        ProxyFailure: there is no score; its `kind` says why.
        ValueError: an argument outside its choices.
    """
    _check(fisher in ("theory", "published"), f"fisher must be 'theory' or 'published', not {fisher!r}")
    _check(jacobian in ("taps", "autograd"), f"jacobian must be 'taps' or 'autograd', not {jacobian!r}")
    _check(probes is None or probes >= 2, f"probes must be at least 2, not {probes}")
    for name, chunk in (("class_chunk", class_chunk), ("sample_chunk", sample_chunk)):
        _check(chunk is None or chunk >= 1, f"{name} must be at least 1, not {chunk}")
    if x.dim() != 4 or len(x) < 1:
        raise ProxyFailure("cannot run", f"the input must be B x C x H x W with B >= 1, not {tuple(x.shape)}")
    generator = generator or torch.Generator().manual_seed(0)
    parameters = select_parameters(net, num_scalars, selection, generator)
    check = not is_compiled(net) if check is None else check
    class_chunk = class_chunk or (16 if x.is_cuda else 1)
    with borrowed(net), lean(net), differentiable_attention(composite=class_chunk > 1):
        net.requires_grad_(False)
        matrices = fisher_matrices(
            net, x, parameters, fisher, generator, probes=probes, class_chunk=class_chunk,
            sample_chunk=sample_chunk, taps=jacobian == "taps", check=check,
        )  # fmt: skip
    information = matrices.mean(0)
    score, eigenvalues = spectral_entropy(information, quantiles)
    error = 0.0 if probes is None else jackknife_error(matrices, quantiles)
    return VKDNW(score, eigenvalues, information, tensors=len(list(net.parameters())), standard_error=error)


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


def jackknife_error(matrices: Tensor, quantiles: Literal[9, 11] = 9) -> float:
    """Standard error of the score of the mean of G independent estimates (G x P x P), leaving out one at a time."""
    count = len(matrices)
    if count == 1:
        return 0.0
    total = matrices.sum(0)
    scores = torch.tensor(
        [spectral_entropy((total - m) / (count - 1), quantiles)[0] for m in matrices], dtype=torch.float64
    )
    return float(((count - 1) * scores.var(correction=0)).sqrt())


def _check(valid: bool, message: str) -> None:
    if not valid:
        raise ValueError(message)
