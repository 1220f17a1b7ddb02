"""Layers of a frame that are several operations in one: squeeze-excite and self-attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .attention import RelPosBias
from .base import make
from .value import Grid, Size, Value

if TYPE_CHECKING:
    from torch import nn


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
        from .modules.composite import SqueezeExcite

        return SqueezeExcite(self.channels, self.hidden, lambda: make(self.activation).module(()))


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
        from .modules.composite import Attention

        bias = RelPosBias(self.size).module((Value(self.heads, Grid.PAIR),))
        return Attention(self.in_channels, self.out_channels, self.heads, bias)  # type: ignore[arg-type]
