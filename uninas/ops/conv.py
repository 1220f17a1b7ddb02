"""Convolutions: dense or grouped with a width ratio, and depthwise."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import GenotypeError
from .base import ALL_GRIDS, Op, Values, attribute, scaled
from .value import Grid, Size, Value

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
        channels = inputs[0].channels
        out = scaled(channels, self.ratio)
        return nn.Conv2d(channels, out, self.kernel, padding=self.kernel // 2, groups=self.groups, bias=self.bias)

    def batched(self) -> nn.Module:
        return ParallelConv()


@dataclass(frozen=True)
class DepthwiseConv(Op):
    """Depthwise convolution: every channel has a kernel of its own."""

    name = "dwconv"
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
        channels = inputs[0].channels
        return nn.Conv2d(channels, channels, self.kernel, padding=self.kernel // 2, groups=channels, bias=self.bias)

    def batched(self) -> nn.Module:
        return ParallelConv()


def _joined(convs: tuple[nn.Conv2d, ...]) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of equal convolutions, one behind the other."""
    weight = torch.cat([conv.weight for conv in convs])
    if convs[0].bias is None:
        return weight, None
    return weight, torch.cat([conv.bias for conv in convs if conv.bias is not None])


def _special(convs: tuple[nn.Module, ...]) -> bool:
    """Whether someone put hooks on a convolution, or something else in its place: then it has to be called itself."""
    return any(
        type(conv) is not nn.Conv2d
        or conv._forward_hooks
        or conv._forward_pre_hooks
        or conv._backward_hooks
        or conv._backward_pre_hooks
        for conv in convs
    )


class ParallelConv(nn.Module):
    """Equal convolutions on consecutive channel groups, run as one grouped convolution.

    The convolutions are arguments: they stay where they are in the network, so a rewritten network keeps its state
    dict. Joining costs a copy of the weights, which is small beside the activations. When a member carries hooks or was
    replaced, the members run one by one: whoever hooks a layer sees what the plain network would show.
    """

    def forward(self, x: Tensor, *convs: nn.Conv2d) -> Tensor:
        if _special(convs):
            return torch.cat([conv(part) for conv, part in zip(convs, torch.chunk(x, len(convs), dim=1))], dim=1)
        weight, bias = _joined(convs)
        weight = weight.flatten(1).reshape(weight.shape)  # in the layout that grouped convolutions need: compiler/init
        return F.conv2d(x, weight, bias, padding=convs[0].padding, groups=convs[0].groups * len(convs))


class SharedInputConv(nn.Module):
    """Equal ungrouped convolutions of one input, run as one convolution with their outputs side by side."""

    def forward(self, x: Tensor, *convs: nn.Conv2d) -> Tensor:
        if _special(convs):
            return torch.cat([conv(x) for conv in convs], dim=1)
        weight, bias = _joined(convs)
        return F.conv2d(x, weight, bias, padding=convs[0].padding)
