"""VKDNW as proxies of the common contract."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, derived, proxy
from uninas.proxies.fisher import vkdnw as compute

PROBES = 40
"""Random probes a sample: for 1,000 classes about 22 times faster than exact, Spearman .99 with it (12 images)."""


@proxy(needs={"noise"}, cost=Cost.CLASSES)
def vkdnw(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Entropy of the deciles of the Fisher matrix's eigenvalues. Týbl and Neumann, CVPR 2025; see `proxies.vkdnw`."""
    return compute(net, x).score


@proxy(needs={"noise"}, cost=Cost.CLASSES)
def vkdnw_published(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """VKDNW with the Fisher matrix that the authors' code forms: J^T L^T L J in place of J^T L L^T J."""
    return compute(net, x, fisher="published").score


@derived(of=vkdnw)
def vkdnw_single(net: nn.Module, value: float) -> float:
    """Number of parameter tensors + VKDNW: orders networks by the first, and by the second where those are equal."""
    return sum(1 for _ in net.parameters()) + value


@proxy(needs={"noise"}, cost=Cost.BACKWARD)
def vkdnw_sampled(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """VKDNW from random probes of the Fisher matrix, PROBES backward passes whatever the number of classes."""
    return compute(net, x, probes=PROBES, generator=generator).score
