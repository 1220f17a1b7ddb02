"""Layers of a frame that are several operations in one: squeeze-excite, self-attention, and a pool with stride."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .attention import FusedAttention, RelativePositionBias
from .base import make
from .merge import SigmoidGate
from .value import Size


@dataclass(frozen=True)
class StridedMaxPool:
    """Maximum over 3 x 3 with stride 2; an odd side rounds up."""

    def out_size(self, size: Size) -> Size:
        return -(-size[0] // 2), -(-size[1] // 2)

    def parameters(self) -> int:
        return 0

    def macs(self, size: Size) -> int:
        return 0

    def build(self) -> nn.Module:
        return nn.MaxPool2d(3, stride=2, padding=1)


class SqueezeExcite(nn.Module):
    """x * sigmoid(expand(act(reduce(global average of x)))), B x C x H x W."""

    def __init__(self, channels: int, hidden: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.activation = activation()
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.gate = SigmoidGate()

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(x, self.expand(self.activation(self.reduce(x.mean((2, 3), keepdim=True)))))


@dataclass(frozen=True)
class SqueezeExciteLayer:
    """Channel gates from the global average, through `hidden` channels (Hu et al., "Squeeze-and-Excitation", 2018)."""

    channels: int
    hidden: int
    activation: str = "relu"

    def out_size(self, size: Size) -> Size:
        return size

    def parameters(self) -> int:
        return 2 * self.channels * self.hidden + self.channels + self.hidden

    def macs(self, size: Size) -> int:
        return 2 * self.channels * self.hidden

    def build(self) -> nn.Module:
        return SqueezeExcite(self.channels, self.hidden, lambda: make(self.activation).build(()))


class Attention(nn.Module):
    """Multi-head self-attention with relative position bias: B x C x H x W -> B x K x H x W."""

    def __init__(self, in_channels: int, out_channels: int, heads: int, size: int) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(in_channels, 3 * in_channels, 1)
        self.bias = RelativePositionBias(heads, size)
        self.bias.defers = True  # nobody but the attention sees it
        self.attend = FusedAttention(heads)
        self.project = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = torch.chunk(self.qkv(x), 3, dim=1)
        return self.project(self.attend(q, k, v, self.bias(None, x)))


@dataclass(frozen=True)
class AttentionLayer:
    """Self-attention over all positions; `size` is the side of the grid whose offsets the bias table holds."""

    in_channels: int
    out_channels: int
    heads: int
    size: int

    def out_size(self, size: Size) -> Size:
        return size

    def parameters(self) -> int:
        convolutions = (self.in_channels + 1) * (3 * self.in_channels) + (self.in_channels + 1) * self.out_channels
        return convolutions + self.heads * (2 * self.size - 1) ** 2

    def macs(self, size: Size) -> int:
        positions = size[0] * size[1]
        convolutions = positions * self.in_channels * (3 * self.in_channels + self.out_channels)
        return convolutions + 2 * self.in_channels * positions**2

    def build(self) -> nn.Module:
        return Attention(self.in_channels, self.out_channels, self.heads, self.size)
