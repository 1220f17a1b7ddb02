"""NEAR: the effective rank of a network's features in front of and behind its activations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, derived, proxy
from uninas.proxies.blocks import by_position
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.gates import watch_gates


@proxy(needs={"noise", "gates"}, cost=Cost.FORWARD, statistics="batch")
def _effective_ranks(net: nn.Module, x: Tensor, generator: torch.Generator) -> list[float]:
    """erank(Z) + erank(H) of each activation, Z what goes in and H what comes out, as positions x channels.

    Husistein, Reiher and Eckhoff, "NEAR: A Training-Free Pre-Estimator of Machine Learning Model Performance", ICLR
    2025. erank = exp(entropy of s / sum s), s the singular values (Roy and Vetterli, 2007). The authors draw as many
    positions of a feature map as it has channels; here all count, which is the limit of drawing many.
    """
    ranks: list[float] = []

    def add(feature: Tensor) -> None:
        matrix = feature if feature.dim() == 2 else by_position(feature)
        if not matrix.isfinite().all():
            raise ProxyFailure("not finite", "a feature is not finite")
        ranks.append(effective_rank(matrix.double()))

    watch_gates(net, x, add, add)
    return [before + after for before, after in zip(ranks[::2], ranks[1::2], strict=True)]


@derived(of=_effective_ranks)
def near(net: nn.Module, ranks: list[float]) -> float:
    """Sum over activations of erank(Z) + erank(H)."""
    return sum(ranks)


@derived(of=_effective_ranks)
def near_mean(net: nn.Module, ranks: list[float]) -> float:
    """Mean over activations of erank(Z) + erank(H): unlike the sum, it does not grow with every layer that is added."""
    return sum(ranks) / len(ranks)


def effective_rank(matrix: Tensor) -> float:
    """exp(entropy of s / sum s), s the singular values of an N x C matrix; 0 for a matrix of zeros."""
    # The smaller of the two Gram matrices: its eigenvalues are the squares of s.
    gram = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
    eigenvalues = torch.linalg.eigvalsh(gram)
    rounding = len(gram) * torch.finfo(gram.dtype).eps * eigenvalues[-1]
    s = torch.where(eigenvalues > rounding, eigenvalues, 0).sqrt()
    total = s.sum()
    if not total > 0:
        return 0.0
    shares = s / total
    return float((-torch.xlogy(shares, shares).sum()).exp())
