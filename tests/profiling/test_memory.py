"""Peaks that can be told by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uninas.profiling.memory import Memory, measure_memory

IMAGES = torch.zeros(2, 3, 16, 16)
BYTES = 4 * IMAGES.numel()


class Chain(nn.Module):
    """Each step needs the one before and no other."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.steps):
            x = -x
        return x


class Kept(nn.Module):
    """All steps are needed in the end."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([-x, -x, -x])


class Keeping(nn.Module):
    """The first pass makes what later ones find."""

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.kept = -x if self.kept is None else self.kept
        return self.kept


def test_what_lives_together_counts_together():
    assert measure_memory(Chain(1), IMAGES) == Memory(0, BYTES, BYTES)
    assert measure_memory(Chain(9), IMAGES).activations == 2 * BYTES, "input and output of a step"
    assert measure_memory(Kept(), IMAGES).activations == 6 * BYTES
    assert measure_memory(Kept(), IMAGES[:1]).activations == 3 * BYTES


def test_what_the_first_pass_keeps_is_counted():
    network = Keeping()
    assert measure_memory(network, IMAGES).activations == BYTES
    assert measure_memory(network, IMAGES).activations == 0


def test_weights_and_buffers_and_nothing_else_are_counted():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    memory = measure_memory(network, IMAGES)
    assert memory.weights == 4 * (16 + 8 + 8) + 8, "running statistics, and the count of batches in 8 bytes"
    assert memory.peak == memory.weights + BYTES + memory.activations
    assert memory.activations >= 4 * 4 * 2 * 16 * 16
