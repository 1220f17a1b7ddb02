"""Convolutions: dense or grouped with a width ratio, and depthwise."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import GenotypeError
from .base import ALL_GRIDS, Op, Values, attribute, scaled
from .value import Grid, Size, Value

if TYPE_CHECKING:
    from torch import nn

RATIOS = tuple(Fraction(r) for r in ("1", "2", "3", "4", "6", "1/2", "1/3", "1/4", "1/6", "24", "1/24"))


@dataclass(frozen=True)
class Conv(Op):
    """Convolution with stride 1 and `same` padding; output channels = input channels x ratio.

    On the PAIR grid a 1 x 1 convolution mixes attention heads. Larger kernels need neighbours: FULL only.
    """

    name = "conv"
    role = "conv"
    kernel: int = attribute(1, choices=(1, 3, 5, 7))
    groups: int = attribute(1, minimum=1)
    ratio: Fraction = attribute(Fraction(1), choices=RATIOS)
    bias: bool = attribute(True)

    @property
    def grids(self) -> tuple[Grid, ...]:
        return ALL_GRIDS if self.kernel == 1 else (Grid.FULL,)

    def shape(self, inputs: Values) -> Values:
        (x,) = inputs
        out = scaled(x.channels, self.ratio)
        if x.channels % self.groups or out % self.groups:
            raise GenotypeError(f"{x.channels} -> {out} channels cannot be split into {self.groups} groups", "groups")
        return (Value(out, x.grid),)

    def parameters(self, inputs: Values) -> int:
        out = scaled(inputs[0].channels, self.ratio)
        return out * (inputs[0].channels // self.groups) * self.kernel**2 + (out if self.bias else 0)

    def macs(self, inputs: Values, size: Size) -> int:
        out = scaled(inputs[0].channels, self.ratio)
        return out * (inputs[0].channels // self.groups) * self.kernel**2 * inputs[0].positions(size)

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        channels = inputs[0].channels
        out = scaled(channels, self.ratio)
        return nn.Conv2d(channels, out, self.kernel, padding=self.kernel // 2, groups=self.groups, bias=self.bias)

    def batched(self) -> nn.Module:
        from .modules.conv import ParallelConv

        return ParallelConv()


@dataclass(frozen=True)
class DepthwiseConv(Op):
    """Depthwise convolution: every channel has a kernel of its own."""

    name = "dwconv"
    label = "dw"
    role = "conv"
    kernel: int = attribute(3, choices=(3, 5, 7))
    bias: bool = attribute(False)

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL,)

    def parameters(self, inputs: Values) -> int:
        return inputs[0].channels * (self.kernel**2 + (1 if self.bias else 0))

    def macs(self, inputs: Values, size: Size) -> int:
        return inputs[0].channels * self.kernel**2 * inputs[0].positions(size)

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        channels = inputs[0].channels
        return nn.Conv2d(channels, channels, self.kernel, padding=self.kernel // 2, groups=channels, bias=self.bias)

    def batched(self) -> nn.Module:
        from .modules.conv import ParallelConv

        return ParallelConv()
