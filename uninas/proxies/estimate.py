"""The Fisher matrix of a network's outputs with respect to selected scalars, exact or from random probes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher import Directions, Form
from uninas.proxies.jacobian import AutogradJacobian, ScalarJacobian
from uninas.proxies.taps import owners, survey

TOLERANCE = 1e-2
"""Of the check of one sample against plain autograd, relative to its row. Single precision gives about 1e-4."""
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
) -> Tensor:
    """Independent, equally good estimates of the Fisher matrix; their mean is the best one.

    Args:
        net: a classifier in eval mode, its parameters frozen.
        x: B x C_in x H x W.
        parameters: P of its parameters; element 0 of each is a scalar.
        form: see `fisher.Directions`.
        generator: of the probes.
        probes: None for the exact matrix; else K random probes a sample. At C - 1 probes, exact is no dearer and taken.
        class_chunk: backward passes that are batched into one; 1 batches only their ends, behind the last tap.
        sample_chunk: samples that are worked on at a time; None takes PIXELS pixels. Memory grows with it.
        taps: False computes by plain autograd.
        check: compares a row with plain autograd; False for networks whose weights act where they are owned.

    Returns:
        G x P x P, float64: G = 1 for the exact matrix, else at most GROUPS groups of probes.

    Raises:
        ProxyFailure: the network's output is not B x C or not finite, or its samples see each other.
    """
    noise: Tensor | None = None

    def directions_of(logits: Tensor, start: int = 0) -> Directions:
        nonlocal noise
        if noise is None and probes is not None and probes < logits.shape[1] - 1:
            noise = torch.randn(probes, len(x), logits.shape[1], generator=generator, device=generator.device)
        return Directions(logits, form, None if noise is None else noise[:, start:])

    # Channels-last suits the 1 x 1 convolutions and the norms over channels; it changes no values.
    x = x.contiguous(memory_format=torch.channels_last)
    found = survey(net, x[:1], parameters, lambda logits: directions_of(logits)[0]) if check else None
    places = owners(net, parameters) if found is None else found.taps
    sample_chunk = sample_chunk or max(1, PIXELS // (x.shape[2] * x.shape[3]))
    total: Tensor | float = 0.0
    for start in range(0, len(x), sample_chunk):
        part = x[start : start + sample_chunk]
        product = (
            ScalarJacobian(net, part, places, len(parameters)) if taps else AutogradJacobian(net, part, parameters)
        )
        if found is None and product.missed:  # a module whose weights someone else uses
            return fisher_matrices(
                net, x, parameters, form, generator, probes=probes, class_chunk=class_chunk, sample_chunk=sample_chunk
            )
        directions = directions_of(product.logits, start)
        abreast = class_chunk > 1
        blocks = torch.arange(len(directions)).split(class_chunk if abreast else product.chunk)
        chunks = (torch.stack([directions[k] for k in block.tolist()]) for block in blocks)
        rows = torch.cat([product.pull_back(cotangents, abreast=abreast) for cotangents in chunks])
        if start == 0 and found is not None:
            _check_row(rows[0, 0], found.row)
        total = total + directions.fishers(rows, GROUPS) * (len(part) / len(x))
    return torch.as_tensor(total)


def _check_row(row: Tensor, reference: Tensor) -> None:
    error, scale = float((row - reference).norm()), float(reference.norm())
    if error > TOLERANCE * scale:
        message = (
            f"the derivatives of the first sample are off by {error / scale if scale else error:.2g}: samples see each "
            "other, or a weight is used outside of the module that owns it; jacobian='autograd' goes sample by sample"
        )
        raise ProxyFailure("samples mixed", message)
