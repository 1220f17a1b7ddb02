"""VKDNW: the entropy of the spectrum of the Fisher information of a network at initialisation.

Týbl and Neumann, "Training-free Neural Architecture Search through Variance of Knowledge of Deep Network Weights",
CVPR 2025. For logits z in R^C and P selected scalars theta of the weights:

    p = 0.95 softmax(z) + 0.05 / C            Sigma = diag(p) - p p^T = L L^T
    J = d z / d theta (C x P, per sample)     F = mean over samples of J^T Sigma J
    q = deciles 0.1 ... 0.9 of F's eigenvalues,  t = q / sum(q),  VKDNW = - sum t log t

F of B samples has rank B (C - 1) at most. Where that is less than the deciles need, there is no score: the lowest of
them would be rounding noise. A network can have a lower rank of its own; those eigenvalues, and their deciles, are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher.directions import Form
from uninas.proxies.fisher.information import Quantiles, Selection, expect, fisher_information


@dataclass(frozen=True)
class VKDNW:
    """What `vkdnw` returns.

    Attributes:
        score: the entropy; at most ln 9 for 9 quantiles.
        eigenvalues: P, float64, of the Fisher matrix, ascending, those that are rounding errors set to 0.
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
    quantiles: Quantiles = 9,
    selection: Selection = "first",
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
        check: the fast way first compares two samples with the plain way, and refuses networks on which it would be
            wrong. None checks all but those that `uninas.build` made, whose operations are tested for it.

    Raises:
        ProxyFailure: there is no score; its `kind` says why.
        ValueError: an argument outside its choices.
    """
    expect(quantiles in (9, 11), f"quantiles must be 9 or 11, not {quantiles!r}")
    matrices = fisher_information(
        net, x, fisher=fisher, num_scalars=num_scalars, quantiles=quantiles, selection=selection, probes=probes,
        generator=generator, class_chunk=class_chunk, sample_chunk=sample_chunk, jacobian=jacobian, check=check,
    )  # fmt: skip
    information = matrices.mean(0)
    score, eigenvalues = spectral_entropy(information, quantiles)
    error = 0.0 if probes is None else jackknife_error(matrices, quantiles)
    return VKDNW(score, eigenvalues, information, tensors=len(list(net.parameters())), standard_error=error)


def spectral_entropy(fisher: Tensor, quantiles: Quantiles = 9) -> tuple[float, Tensor]:
    """VKDNW and the ascending eigenvalues of a P x P Fisher matrix.

    Args:
        fisher: P x P, symmetric, float64. Its eigenvalues below P eps times the greatest are rounding, and zero.
        quantiles: 9 deciles (linearly interpolated), or 11 with the minimum and the maximum.

    Raises:
        ProxyFailure: the matrix is not finite, or the quantiles of its spectrum are all zero.
    """
    expect(quantiles in (9, 11), f"quantiles must be 9 or 11, not {quantiles!r}")
    if not fisher.isfinite().all():
        raise ProxyFailure("not finite", "the Fisher matrix is not finite: gradients overflow at these weights")
    eigenvalues = torch.linalg.eigvalsh(fisher)
    rounding = len(fisher) * torch.finfo(fisher.dtype).eps * eigenvalues[-1]
    eigenvalues = torch.where(eigenvalues > rounding, eigenvalues, 0)
    levels = torch.linspace(0, 1, 11, dtype=fisher.dtype, device=fisher.device)
    values = torch.quantile(eigenvalues, levels if quantiles == 11 else levels[1:-1])
    total = values.sum()
    if not total > 0:
        raise ProxyFailure("zero fisher", "the spectrum of the Fisher matrix is zero: the outputs ignore the weights")
    shares = values / total
    return float(torch.special.entr(shares).sum()), eigenvalues


def jackknife_error(matrices: Tensor, quantiles: Quantiles = 9) -> float:
    """Standard error of the score of the mean of G independent estimates (G x P x P), leaving out one at a time."""
    count = len(matrices)
    if count == 1:
        return 0.0
    total = matrices.sum(0)
    scores = torch.tensor(
        [spectral_entropy((total - m) / (count - 1), quantiles)[0] for m in matrices], dtype=torch.float64
    )
    return float(((count - 1) * scores.var(correction=0)).sqrt())
