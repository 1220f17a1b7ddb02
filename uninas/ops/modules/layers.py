"""Layers that frame the blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HalvingAverage(nn.AvgPool2d):
    """Average over 2 x 2 with stride 2; an odd side rounds up and averages what is there."""

    def __init__(self) -> None:
        super().__init__(2, 2, ceil_mode=True, count_include_pad=False)

    def forward(self, input: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            return F.avg_pool2d(input, 2, 2, ceil_mode=True, count_include_pad=False)
        # torch.export cannot reason about rounding up, nor before torch 2.13 about pooling by 2. Means of pairs of
        # rows and columns, where the last one may be paired with itself, are the same.
        input = F.pad(input, (0, 1, 0, 1), mode="replicate")
        input = input[:, :, :-1:2] + input[:, :, 1::2]
        return (input[..., :-1:2] + input[..., 1::2]) / 4


class PointLinear(nn.Linear):
    """A linear layer that takes B x C x 1 x 1 and gives B x K."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input.flatten(1), self.weight, self.bias)
