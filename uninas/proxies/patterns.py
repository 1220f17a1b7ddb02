"""Images to learn from without data: patterns that are moved, made stronger or weaker, and covered by others.

Every kind of image is one random field with the spectrum of natural images, whose strength falls with the frequency
(Field, "Relations between the statistics of natural images and the response properties of cortical cells", 1987). So
neighbouring pixels say something of each other, as in images and unlike in noise, and what a kind looks like has to be
found wherever it lies.
"""

from __future__ import annotations

import torch
from torch import Tensor

KINDS = 10
TEMPLATE_FALL, CLUTTER_FALL = 1.5, 1.0
"""Exponents with which the strength of a pattern, and of what covers it, falls with the frequency."""
SHIFT = 1 / 6
"""The farthest that a pattern is moved, of the height and the width."""
GAIN = 0.3
"""Standard deviation of the logarithm of its strength."""


class Patterns:
    """An endless stream of labelled images of `KINDS` kinds, drawn by a generator."""

    def __init__(self, channels: int, height: int, width: int, generator: torch.Generator) -> None:
        self.generator = generator
        self.templates = fields((KINDS, channels, height, width), TEMPLATE_FALL, generator)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Images (count x C x H x W, variance 1 over all of them) and their kinds (count integers below `KINDS`)."""
        generator, device = self.generator, self.generator.device
        kinds = torch.randint(KINDS, (count,), generator=generator, device=device)
        farthest = [int(side * SHIFT) for side in self.templates.shape[-2:]]
        moves = [torch.randint(-n, n + 1, (count,), generator=generator, device=device).tolist() for n in farthest]
        moved = [
            torch.roll(self.templates[kind], move, (-2, -1)) for kind, *move in zip(kinds.tolist(), *moves, strict=True)
        ]
        clutter = fields((count, *self.templates.shape[1:]), CLUTTER_FALL, generator)
        gains = torch.exp(GAIN * torch.randn(count, 1, 1, 1, generator=generator, device=device))
        images = gains * torch.stack(moved) + clutter
        return images / images.std().clamp_min(_TINY), kinds


_TINY = 1e-6
"""Least deviation that is divided by: an image of one position is constant."""


def fields(shape: tuple[int, ...], fall: float, generator: torch.Generator) -> Tensor:
    """Random fields (... x H x W, mean 0 and variance 1 each) whose amplitude is frequency ** -fall, and periodic."""
    height, width = shape[-2:]
    device = generator.device
    down, across = torch.fft.fftfreq(height, device=device)[:, None], torch.fft.rfftfreq(width, device=device)[None]
    frequency = (down.square() + across.square()).sqrt().clamp_min(1 / max(height, width))
    noise = torch.randn(shape, generator=generator, device=device)
    found = torch.fft.irfft2(torch.fft.rfft2(noise) * frequency**-fall, s=(height, width))
    found = found - found.mean((-2, -1), keepdim=True)
    return found / found.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(_TINY)
