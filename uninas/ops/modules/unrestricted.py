"""Modules of operations on grids where the alphabet leaves them out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..large_attention import LargeBias, expand
from .attention import RelativePositionBias


class MapPositionBias(RelativePositionBias):
    """Adds the bias to every channel of B x C x H x W, whose rows and columns stand for positions of a square grid."""

    def forward(self, scores: Tensor, reference: Tensor) -> Tensor:
        side = (self.table.shape[-1] + 1) // 2
        bias = expand(LargeBias(self.table[None], side, side))
        if bias.shape[2:] != scores.shape[2:]:
            bias = F.interpolate(bias, size=scores.shape[2:], mode="bilinear", align_corners=True)
        return scores + bias


class PointPositionBias(RelativePositionBias):
    """Adds the bias of a position to itself to every channel of B x C x 1 x 1."""

    def forward(self, scores: Tensor, reference: Tensor) -> Tensor:
        return scores + self._interpolate(1, 1)


class UpsampleToPair(nn.Module):
    """B x C x 1 x 1 -> B x C x N x N by nearest neighbour, N = H * W of `reference`: a view, not a copy."""

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        positions = reference.shape[2] * reference.shape[3]
        return x.expand(-1, -1, positions, positions)


class Zeros(nn.Module):
    """0 in the shape of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)
