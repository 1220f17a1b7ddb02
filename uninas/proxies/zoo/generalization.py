"""Generalization: how fast what a network learns from some images holds for others."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas.proxies.base import Cost, proxy
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.few_steps import STEPS, FewSteps
from uninas.proxies.patterns import Patterns

MOST = 1.1
"""In losses of a guess, ln C. More counts as this: how wrong a network is that has learnt nothing says nothing."""


@proxy(needs={"gradients"}, cost=Cost.BACKWARD, statistics="batch", changes_weights=True)
def generalization(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Minus the mean cross-entropy on a fresh batch of images behind each of 3 steps of Adam on earlier ones.

    Ours, the counterpart of `memorization`: no image is seen twice, so that only what holds for others of its kind
    helps. Of `x` (B x C_in x H x W) it takes the shape; the images are `Patterns`, drawn by the generator. It takes 4
    forward and 3 backward passes, and no data. That the loss before a step on new images measures how fast a network
    learns is "prequential" coding: Blier and Ollivier, "The Description Length of Deep Learning Models", NeurIPS 2018.

    Raises:
        ProxyFailure: `x` are not images.
    """
    if x.dim() != 4:
        raise ProxyFailure("cannot run", f"generalization draws images, but the input has {x.dim()} dimensions, not 4")
    count, channels, height, width = x.shape
    training, patterns = FewSteps(net), Patterns(channels, height, width, generator)
    losses = []
    for step in range(STEPS + 1):
        images, kinds = patterns.draw(count)
        logits = training.logits(images.to(x))
        classes = logits.shape[1]
        loss = F.cross_entropy(logits, kinds.to(x.device) % classes)  # of few classes, one has several kinds
        losses.append(loss.detach().double().clamp_max(MOST * math.log(classes)))
        if step < STEPS:
            training.step(loss)
    return -float(torch.stack(losses[1:]).mean())
