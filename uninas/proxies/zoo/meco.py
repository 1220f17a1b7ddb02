"""MeCo: how independent the channels of a network's feature maps are, for one image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, proxy
from uninas.proxies.layers import layer_outputs

SAMPLED = 8
"""Channels that `meco_opt` draws of each layer, as its authors do."""


@proxy(needs={"noise"}, cost=Cost.FORWARD)
def meco(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Sum over layers of the least eigenvalue of the correlations between the output channels, for the first image.

    Jiang, Wang and Bie, "MeCo: Zero-Shot NAS with One Data and Single Forward Pass via Minimum Eigenvalue of
    Correlation", NeurIPS 2023. Batch norms use their running statistics, as one image has none. Layers are convolutions
    and linear layers that put out more than one position. It is 0 for a layer with more channels than positions.
    """
    return sum(layer_outputs(net, x[:1], least_eigenvalue, positions=2))


@proxy(needs={"noise"}, cost=Cost.FORWARD)
def meco_opt(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """MeCo of n = 8 random channels of each layer, weighted by channels / n. Ibid., its cheaper form."""

    def sampled(rows_NC: Tensor) -> float:
        channels = rows_NC.shape[1]
        drawn = torch.randperm(channels, generator=generator, device=generator.device)[:SAMPLED]
        return least_eigenvalue(rows_NC[:, drawn.to(rows_NC.device)]) * channels / len(drawn)

    return sum(layer_outputs(net, x[:1], sampled, positions=2))


def least_eigenvalue(rows_NC: Tensor) -> float:
    """Of the correlations of C channels over N positions; a constant channel is correlated with none, itself too."""
    centred = rows_NC - rows_NC.mean(0)
    norms = centred.norm(dim=0)
    constant = norms <= torch.finfo(norms.dtype).eps * rows_NC.abs().amax(0) * len(rows_NC)
    unit = torch.where(constant, 0, centred / norms.clamp_min(torch.finfo(norms.dtype).tiny))
    least = float(torch.linalg.eigvalsh(unit.T @ unit)[0])
    return least if least > unit.shape[1] * torch.finfo(unit.dtype).eps else 0.0  # below that, rounding
