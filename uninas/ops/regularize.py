"""Dropout and layer scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .base import Op, Values, attribute
from .value import Grid


class ChannelScale(nn.Module):
    """x times a learnt factor for each channel."""

    def __init__(self, channels: int, init: float) -> None:
        super().__init__()
        self.init = init
        self.weight = nn.Parameter(torch.full((channels,), init))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None]

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        nn.init.constant_(self.weight, self.init)


@dataclass(frozen=True)
class Dropout(Op):
    """Zeroes entries with probability p while training."""

    name = "dropout"
    role = "dropout"
    repeatable = False
    p: float = attribute(0.5, minimum=0.0, below=1.0)

    def build(self, inputs: Values) -> nn.Module:
        return nn.Dropout(self.p)


@dataclass(frozen=True)
class LayerScale(Op):
    """A learnt factor for each channel, starting at `init`."""

    name = "layer_scale"
    role = "scale"
    repeatable = False
    init: float = attribute(1e-6)

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL, Grid.POINT)

    def parameters(self, inputs: Values) -> int:
        return inputs[0].channels

    def build(self, inputs: Values) -> nn.Module:
        return ChannelScale(inputs[0].channels, self.init)
