"""Pools that keep the grid, the global average, and its upsampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Op, Values
from .value import Grid, Value

if TYPE_CHECKING:
    from torch import nn


class _Pool3(Op):
    """A 3 x 3 window with stride 1 over the feature map."""

    role = "pool"
    channelwise = True

    def redundant_behind(self, producer: Op) -> bool:
        return isinstance(producer, Upsample)  # one value everywhere

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL,)


@dataclass(frozen=True)
class MaxPool(_Pool3):
    """Maximum over 3 x 3, stride 1."""

    name = "max_pool"

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(3, stride=1, padding=1)


@dataclass(frozen=True)
class AvgPool(_Pool3):
    """Average over 3 x 3, stride 1; the border averages over what lies inside the image."""

    name = "avg_pool"

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


@dataclass(frozen=True)
class GlobalAvgPool(Op):
    """FULL -> POINT: the average over all positions."""

    name = "global_avg_pool"
    label = "global avg"
    role = "pool"
    channelwise = True

    def redundant_behind(self, producer: Op) -> bool:
        return isinstance(producer, Upsample)  # gives back what was upsampled

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL,)

    def shape(self, inputs: Values) -> Values:
        return (Value(inputs[0].channels, Grid.POINT),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.pool import GlobalAverage

        return GlobalAverage()


@dataclass(frozen=True)
class Upsample(Op):
    """POINT -> FULL: one value a channel, everywhere."""

    name = "upsample"
    rearranges = True
    needs_reference = True
    channelwise = True

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.POINT,)

    def shape(self, inputs: Values) -> Values:
        return (Value(inputs[0].channels, Grid.FULL),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.pool import UpsampleTo

        return UpsampleTo()
