"""Units of several operations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .attention import FusedAttention, RelativePositionBias
from .merge import SigmoidGate


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


class Attention(nn.Module):
    """Multi-head self-attention with relative position bias: B x C x H x W -> B x K x H x W."""

    def __init__(self, in_channels: int, out_channels: int, heads: int, bias: RelativePositionBias) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(in_channels, 3 * in_channels, 1)
        self.bias = bias
        self.bias.defers = True  # nobody but the attention sees it
        self.attend = FusedAttention(heads)
        self.project = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = torch.chunk(self.qkv(x), 3, dim=1)
        return self.project(self.attend(q, k, v, self.bias(None, x)))
