"""Layer scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelScale(nn.Module):
    """x times a learnt factor for each channel."""

    def __init__(self, channels: int, init: float) -> None:
        super().__init__()
        self.init = init
        self.weight = nn.Parameter(torch.full((channels,), init))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None]

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        nn.init.constant_(self.weight, self.init)
