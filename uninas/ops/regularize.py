"""Dropout and layer scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Op, Values, attribute
from .value import Grid

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Dropout(Op):
    """Zeroes entries with probability p while training."""

    name = "dropout"
    role = "dropout"
    repeatable = False
    p: float = attribute(0.5, minimum=0.0, below=1.0)

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

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
        from .modules.regularize import ChannelScale

        return ChannelScale(inputs[0].channels, self.init)
