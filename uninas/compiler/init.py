"""Initial weights, from a generator: nothing reads or seeds global random state."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Convolutions and linears: kaiming normal, fan in, ReLU gain, biases 0; norms 1 and 0; others as they declare.

    Works in `named_modules` order, so equal networks and generators give equal weights.
    """
    for child in module.modules():
        if isinstance(child, (nn.Conv2d, nn.Linear)):
            fan_in = child.weight[0].numel()
            child.weight.normal_(0.0, math.sqrt(2.0 / fan_in), generator=generator)
            if child.bias is not None:
                child.bias.zero_()
        elif isinstance(child, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
            child.reset_parameters()  # ones and zeros: no random numbers
        elif not isinstance(child, nn.Module) or next(child.parameters(recurse=False), None) is None:
            continue
        else:
            child.reset_parameters(generator)  # type: ignore[operator]
