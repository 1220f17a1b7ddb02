"""InTrain: how many dimensions the features fill, and how evenly gradients are spread over the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from uninas.proxies.base import Cost, gradients_of, loss_of, proxy, weights_of
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.layers import layer_outputs


@proxy(needs={"noise", "labels", "gradients"}, cost=Cost.BACKWARD, statistics="batch")
def intrain(net: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> float:
    """gamma (1 + o) / log(L + 1), gamma = sum over L layers of log( (tr C)^2 / tr C^2 ), o from the gradients.

    Zhou et al., "InTrain: Intrinsic Trainability for Zero-Cost Neural Architecture Search", CVPR 2026, after a summary
    of the paper. C: covariance of a layer's output channels over images and positions, so that (tr C)^2 / tr C^2 is the
    participation ratio, between 1 and the number of channels. o: sum over weight tensors of min(1, std g / max |g|), g
    the gradient of the cross-entropy. Layers are convolutions and linear layers; those whose output is constant, behind
    weights that start at zero, have no dimensions and are left out.
    """
    ratios = [ratio for ratio in layer_outputs(net, x, _participation) if ratio]
    if not ratios:
        raise ProxyFailure("zero features", "the outputs of all layers are constant")
    weights = weights_of(net)
    gradients = gradients_of(loss_of(net, x, generator, labels), weights)
    health = sum(_evenness(g) for g in gradients)
    return sum(map(math.log, ratios)) * (1 + health) / math.log(len(ratios) + 1)


def _participation(rows_NC: Tensor) -> float:
    """(tr C)^2 / tr C^2 of the covariance of C channels over N positions; 0 if they are constant."""
    centred = rows_NC - rows_NC.mean(0)
    trace = float(centred.square().sum())
    if not trace > 0:
        return 0.0
    small = centred.T @ centred if centred.shape[1] <= len(centred) else centred @ centred.T
    return trace**2 / float(small.square().sum())


def _evenness(gradient: Tensor) -> float:
    """min(1, std g / max |g|); 0 for a gradient of zeros."""
    largest = float(gradient.abs().max())
    return min(1.0, float(gradient.double().std(correction=0)) / largest) if largest > 0 else 0.0
