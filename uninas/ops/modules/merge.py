"""Forks and merges."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChunkChannels(nn.Module):
    """B x C x ... -> `parts` tensors of B x C/parts x ..."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.chunk(x, self.parts, dim=1)


class ConcatChannels(nn.Module):
    """Tensors side by side along the channels."""

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.cat(xs, dim=1)


class Sum(nn.Module):
    """The sum of all inputs."""

    def forward(self, first: Tensor, *rest: Tensor) -> Tensor:
        for x in rest:
            first = first + x
        return first


class Difference(nn.Module):
    """a - b."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b


class Product(nn.Module):
    """The product of all inputs."""

    def forward(self, first: Tensor, *rest: Tensor) -> Tensor:
        for x in rest:
            first = first * x
        return first


class SigmoidGate(nn.Module):
    """a * sigmoid(b)."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * torch.sigmoid(b)
