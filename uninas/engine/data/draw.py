"""Pictures of simple shapes with their exact masks, the raw material of the small data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

SHAPES = ("disk", "box", "triangle", "ring")
COLOURS = {"disk": (205, 70, 60), "box": (70, 130, 205), "triangle": (225, 185, 60), "ring": (95, 175, 95)}


@dataclass(frozen=True)
class Shape:
    """A shape of one kind at (x, y) with a radius, all in pixels."""

    kind: str
    x: float
    y: float
    radius: float

    def outline(self) -> np.ndarray:
        """The outer boundary as corners (K, 2), in order."""
        if self.kind == "box":
            angles = np.pi / 4 + np.arange(4) * np.pi / 2
        elif self.kind == "triangle":
            angles = -np.pi / 2 + np.arange(3) * 2 * np.pi / 3
        else:
            angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        return np.stack([self.x + self.radius * np.cos(angles), self.y + self.radius * np.sin(angles)], axis=1)

    def mask(self, width: int, height: int) -> np.ndarray:
        """Booleans (height, width): which pixels' centres lie inside. A ring has a hole, which a polygon cannot say."""
        y, x = np.mgrid[0:height, 0:width] + 0.5
        corners = self.outline()
        inside = np.ones((height, width), dtype=bool)
        # Convex, corners in order: a point is inside when it lies on the same side of every edge.
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0)):
            inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
        if self.kind == "ring":
            inside &= np.hypot(x - self.x, y - self.y) >= 0.5 * self.radius
        return inside


def scatter(rng: np.random.Generator, width: int, height: int, count: int) -> list[Shape]:
    """Up to `count` shapes that neither overlap nor leave a picture of width x height pixels."""
    shapes: list[Shape] = []
    side = min(width, height)
    for _ in range(20 * count):
        radius = side * rng.uniform(0.12, 0.24)
        x, y = rng.uniform(radius + 1, width - radius - 1), rng.uniform(radius + 1, height - radius - 1)
        if all(np.hypot(x - s.x, y - s.y) > radius + s.radius + 2 for s in shapes):
            shapes.append(Shape(SHAPES[rng.integers(len(SHAPES))], x, y, radius))
        if len(shapes) == count:
            break
    return shapes


def tinted(rng: np.random.Generator, colour: tuple[int, int, int], spread: int = 25) -> np.ndarray:
    """`colour` as three integers, each moved by up to `spread`."""
    return np.clip(np.asarray(colour) + rng.integers(-spread, spread + 1, 3), 0, 255)


def background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A grey slope, (height, width, 3) floats in 0..255."""
    slope = rng.uniform(-30, 30, 2)
    y, x = np.mgrid[0:height, 0:width]
    grey = rng.uniform(100, 150) + slope[0] * x / width + slope[1] * y / height
    return np.repeat(grey[..., None], 3, axis=2)


def grainy(rng: np.random.Generator, picture: np.ndarray, grain: float = 8.0) -> Image.Image:
    """`picture`, (height, width, 3) in 0..255, with noise of that standard deviation, as an image."""
    return Image.fromarray(np.clip(picture + rng.normal(0, grain, picture.shape), 0, 255).astype(np.uint8))
