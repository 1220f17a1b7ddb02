"""Pictures of simple shapes with their exact masks, the raw material of the small data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

SHAPES = ("disk", "box", "triangle", "ring")
COLOURS = {"disk": (205, 70, 60), "box": (70, 130, 205), "triangle": (225, 185, 60), "ring": (95, 175, 95)}
CORNERS = {"box": 4, "triangle": 3}
"""Of what is no circle, which is drawn with 24."""


@dataclass(frozen=True)
class Shape:
    """A shape of one kind at (x, y) with a radius, all in pixels."""

    kind: str
    x: float
    y: float
    radius: float

    def outline(self, radius: float | None = None) -> list[float]:
        """The outer boundary as x, y, x, y ... of its corners."""
        count = CORNERS.get(self.kind, 24)
        angles = np.pi / 2 + np.pi / count + np.arange(count) * 2 * np.pi / count
        points = [[self.x], [self.y]] + (radius or self.radius) * np.array([np.cos(angles), np.sin(angles)])
        return [float(n) for n in points.T.ravel().round(2)]

    def mask(self, width: int, height: int) -> np.ndarray:
        """Booleans (height, width): the pixels inside, as COCO draws polygons. A ring has a hole, as no polygon has."""
        from pycocotools.mask import decode, frPyObjects

        polygons: Any = [self.outline(), *([self.outline(self.radius / 2)] if self.kind == "ring" else [])]
        areas: Any = decode(frPyObjects(polygons, height, width))
        return areas[..., 0].astype(bool) & ~areas[..., 1:].any(2)


def scatter(rng: np.random.Generator, width: int, height: int, count: int) -> list[Shape]:
    """Up to `count` shapes that neither overlap nor leave a picture of width x height pixels."""
    shapes: list[Shape] = []
    for _ in range(20 * count):
        radius = min(width, height) * rng.uniform(0.12, 0.24)
        x, y = rng.uniform(radius + 1, width - radius - 1), rng.uniform(radius + 1, height - radius - 1)
        if all(np.hypot(x - s.x, y - s.y) > radius + s.radius + 2 for s in shapes):
            shapes.append(Shape(SHAPES[rng.integers(len(SHAPES))], x, y, radius))
    return shapes[:count]


def tinted(rng: np.random.Generator, colour: tuple[int, int, int], spread: int = 25) -> np.ndarray:
    """`colour` as three integers, each moved by up to `spread`."""
    return np.clip(np.asarray(colour) + rng.integers(-spread, spread + 1, 3), 0, 255)


def background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A grey slope, (height, width, 3) floats in 0..255."""
    (down, across), grey = rng.uniform(-30, 30, 2), rng.uniform(100, 150)
    slope = grey + np.linspace(0, down, height)[:, None] + np.linspace(0, across, width)
    return np.repeat(slope[..., None], 3, axis=2)


def grainy(rng: np.random.Generator, picture: np.ndarray, grain: float = 8.0) -> Image.Image:
    """`picture`, (height, width, 3) in 0..255, with noise of that standard deviation, as an image."""
    return Image.fromarray(np.clip(picture + rng.normal(0, grain, picture.shape), 0, 255).astype(np.uint8))
