"""The global average, and its upsampling."""

from __future__ import annotations

from torch import Tensor, nn


class GlobalAverage(nn.Module):
    """B x C x H x W -> B x C x 1 x 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


class UpsampleTo(nn.Module):
    """B x C x 1 x 1 -> B x C x H x W of `reference` by nearest neighbour: a view, not a copy."""

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        return x.expand(-1, -1, reference.shape[2], reference.shape[3])
