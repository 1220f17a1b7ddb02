"""The Fisher matrix of a network's outputs with respect to selected scalars, exact or from random probes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher.directions import Directions, Form
from uninas.proxies.fisher.fast_backward import fast_backward
from uninas.proxies.fisher.jacobian import AutogradJacobian, ScalarJacobian
from uninas.proxies.fisher.locate import Location, locate_parameters, owners
from uninas.proxies.state import differentiable_attention

TOLERANCE, NEGLIGIBLE = 1e-2, 1e-3
"""Of the check against plain autograd: a derivative may be off by the first of itself and the second of the norm of its
row. Single precision gives about 1e-4 of the norm."""
GROUPS = 8
PIXELS = 64 * 64 * 64


def fisher_matrices(
    net: nn.Module,
    x: Tensor,
    parameters: Sequence[nn.Parameter],
    form: Form,
    generator: torch.Generator,
    *,
    probes: int | None = None,
    class_chunk: int = 1,
    sample_chunk: int | None = None,
    taps: bool = True,
    check: bool = True,
    least_rank: int = 0,
) -> Tensor:
    """Independent, equally good estimates of the Fisher matrix; their mean is the best one.

    Args:
        net: a classifier in eval mode, its parameters frozen.
        x: B x C_in x H x W.
        parameters: P of its parameters; element 0 of each is a scalar.
        form: see `directions.Directions`.
        generator: of the probes.
        probes: None for the exact matrix; else K random probes a sample. At C - 1 probes, exact is no dearer and taken.
        class_chunk: backward passes that are batched into one; 1 batches only their ends, behind the last tap.
        sample_chunk: samples that are worked on at a time; None takes PIXELS pixels. Memory grows with it.
        taps: False computes by plain autograd.
        check: compares two samples with plain autograd; False for networks whose weights act where they are owned.
        least_rank: the rank that the matrix must be able to have, or that of the scalars which the network uses.

    Returns:
        G x P x P, float64: G = 1 for the exact matrix, else at most GROUPS groups of probes.

    Raises:
        ProxyFailure: the network's output is not B x C or not finite, its samples see each other, or there are too few
            samples and classes for `least_rank`.
    """
    noise: Tensor | None = None

    def directions_of(logits: Tensor, start: int) -> Directions:
        nonlocal noise
        if noise is None and probes is not None and probes < logits.shape[1] - 1:
            noise = torch.randn(probes, len(x), logits.shape[1], generator=generator, device=generator.device)
        return Directions(logits, form, None if noise is None else noise[:, start:])

    # Channels-last suits the 1 x 1 convolutions and the norms over channels; it changes no values.
    x = x.contiguous(memory_format=torch.channels_last)
    sample_chunk = min(len(x), sample_chunk or max(1, PIXELS // (x.shape[2] * x.shape[3])))
    checked = sorted({0, sample_chunk - 1})
    found: Location | None = None
    if taps and check:
        with differentiable_attention(composite=False):
            found = locate_parameters(net, x[checked].contiguous(), parameters)
    places = owners(net, parameters) if found is None else found.taps
    used = len(parameters) if found is None else found.used
    total: Tensor | float = 0.0
    vectorized = class_chunk > 1
    with fast_backward(net) if taps else nullcontext(), differentiable_attention(composite=vectorized):
        for start in range(0, len(x), sample_chunk):
            part = x[start : start + sample_chunk]
            product = (
                ScalarJacobian(net, part, places, len(parameters)) if taps else AutogradJacobian(net, part, parameters)
            )
            if found is None and product.missed:  # a module whose weights someone else uses
                break
            directions = directions_of(product.logits, start)
            if start == 0:
                _check_rank(len(x), directions, min(used, least_rank))
                if found is not None:
                    _check_rows(product, checked, found)
            blocks = torch.arange(len(directions)).split(class_chunk if vectorized else product.chunk)
            chunks = (torch.stack([directions[k] for k in block.tolist()]) for block in blocks)
            rows = torch.cat([product.pull_back(cotangents, vectorized=vectorized) for cotangents in chunks])
            total = total + directions.fishers(rows, GROUPS) * (len(part) / len(x))
        else:
            return torch.as_tensor(total)
    return fisher_matrices(
        net, x, parameters, form, generator, probes=probes, class_chunk=class_chunk, sample_chunk=sample_chunk,
        least_rank=least_rank,
    )  # fmt: skip


def _check_rank(samples: int, directions: Directions, least: int) -> None:
    bound = samples * len(directions)
    if bound < least:
        message = (
            f"{samples} images and {len(directions)} directions of the classes give a Fisher matrix of rank {bound} at "
            f"most, and {least} is needed, or its lowest eigenvalues are rounding noise; take at least "
            f"{-(-least // len(directions))} images, or fewer scalars"
        )
        raise ProxyFailure("rank deficient", message)


def _check_rows(product: ScalarJacobian | AutogradJacobian, checked: list[int], found: Location) -> None:
    """Compares the derivatives of S samples, one by one: a wrong one among many would not show in the norm of a row.

    Each sample goes back alone. What the others then say is compared too: nothing, unless samples see each other.
    """
    count, order = len(checked), torch.arange(len(checked))
    cotangents = product.logits.new_zeros(count, *product.logits.shape)
    cotangents[order, checked] = found.cotangent
    rows_SBP = product.pull_back(cotangents)
    expected_SBP = torch.zeros_like(rows_SBP)
    expected_SBP[order, checked] = found.rows
    scales = found.rows.norm(dim=1)[:, None, None]
    off = (rows_SBP - expected_SBP).abs()
    if (off > TOLERANCE * expected_SBP.abs() + NEGLIGIBLE * scales).any():
        message = (
            f"a derivative is off by {float(off.max()):.2g}, where those of a sample have a norm of "
            f"{float(scales.max()):.2g}: samples see each other, a weight is used outside of the module that owns it, "
            "or the network amplifies rounding (try it in double); jacobian='autograd' goes sample by sample"
        )
        raise ProxyFailure("samples mixed", message)
