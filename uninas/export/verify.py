"""What was exported beside the network itself: the same outputs for the same images, or nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .errors import DifferenceError
from .job import Shape

TOLERANCE = 1e-4
"""Of the largest output, or of 1 where that is smaller."""
Run = Callable[[Tensor], Tensor]


class Check(NamedTuple):
    """One comparison with the network in eager mode."""

    batch: int
    height: int
    width: int
    difference: float
    """The largest one, relative to the largest output where that is above 1."""


def compare(run: Run, network: nn.Module, shapes: Iterable[Shape], what: str) -> list[Check]:
    """Outputs of `run` beside those of `network`, on noise.

    Raises:
        DifferenceError: they differ by more than TOLERANCE, or are not finite.
    """
    generator = torch.Generator().manual_seed(0)
    return [_compare(run, network, torch.randn(b, 3, h, w, generator=generator), what) for b, h, w in shapes]


def _compare(run: Run, network: nn.Module, images: Tensor, what: str) -> Check:
    batch, _, height, width = images.shape
    place = f"{what} at {batch} x 3 x {height} x {width}"
    with torch.no_grad():
        expected = network(images)
    if not expected.isfinite().all():
        raise DifferenceError(f"{place}: the network itself gives numbers that are not finite; nothing was written")
    found = run(images)
    if found.shape != expected.shape:
        raise DifferenceError(f"{place}: outputs of {tuple(found.shape)}, not {tuple(expected.shape)}")
    scale = max(1.0, expected.abs().max().item())
    difference = (found - expected).abs().max().item() / scale
    if not difference <= TOLERANCE:  # NaN is no number below it
        raise DifferenceError(
            f"{place}: outputs differ by {difference:.2g} of the largest, more than {TOLERANCE:g}, so nothing was "
            f"written; {_blame(network, images, expected, scale)}"
        )
    return Check(batch, height, width, difference)


def _blame(network: nn.Module, images: Tensor, expected: Tensor, scale: float) -> str:
    """Whether single precision is enough for the network at all."""
    with torch.no_grad():
        exact = deepcopy(network).double()(images.double())
    own = (expected - exact).abs().max().item() / scale
    if own > TOLERANCE / 10:
        return f"the network is at fault: its own outputs differ by {own:.2g} from those in double precision"
    return "the exporter is at fault: please report the genotype"


@torch.no_grad()
def trained_twin(network: nn.Module, images: Tensor) -> nn.Module:
    """A copy whose norms, scales, biases and batch statistics are not the initial ones, which would hide mistakes:
    a mean of 0 and a variance of 1 can be mixed up unseen.

    Args:
        images: from which the statistics are taken, as in training.
    """
    twin, generator = deepcopy(network), torch.Generator().manual_seed(1)
    for name, parameter in twin.named_parameters():
        if name.endswith("weight") and parameter.dim() == 1:
            parameter.uniform_(0.5, 1.5, generator=generator)
        elif not name.endswith("weight"):
            parameter.normal_(0.0, 0.1, generator=generator)
    norms = [module for module in twin.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the plain average over batches, of which there is one
        norm.train()
    twin(images)
    for own, norm in zip((m for m in network.modules() if isinstance(m, _BatchNorm)), norms):
        norm.momentum = own.momentum
        norm.eval()
    return twin
