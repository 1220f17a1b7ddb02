"""Grey pictures whose class is a relation of two parts that are far from each other, in IDX files as MNIST has them.

Of a disk and a ring, at least 14 of 32 pixels apart, the class is the direction from one to the other. Each shape alone
says nothing about it, and neither does how bright anything is: whoever classifies them has to relate the two places.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from .shapes import Shape, background, grainy

SIZE = 32
"""Pixels of a side."""
DIRECTIONS = 8
APART = (14.0, 20.0)
"""Pixels between the middles of disk and ring."""
RADIUS = (3.0, 4.5)


def tiny_relations(root: Path, rng: np.random.Generator, train: int = 8000, val: int = 4000) -> dict[str, int]:
    """Writes the four files of an IDX data set, splits `train` and `t10k`, in which classes are equally frequent."""
    for split, count in (("train", train), ("t10k", val)):
        labels = rng.permutation(np.arange(count) % DIRECTIONS).astype(np.uint8)
        images = np.stack([picture(rng, int(label)) for label in labels])
        for part, array in (("images", images), ("labels", labels)):
            header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            path = root / f"{split}-{part}-idx{array.ndim}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))
    return {"classes": DIRECTIONS, "train": train, "val": val}


def picture(rng: np.random.Generator, direction: int) -> np.ndarray:
    """Bytes SIZE x SIZE: a disk, a ring in that direction of it (0 is right, 1 right and down, ...), and a box."""
    angle = (direction + rng.uniform(-0.4, 0.4)) * 2 * np.pi / DIRECTIONS
    shapes = pair(rng, angle)
    while len(shapes) < 3:
        other = _placed(rng, "box")
        if all(_clear(other, shape) for shape in shapes):
            shapes.append(other)
    grey = background(rng, SIZE, SIZE)
    for shape in shapes:
        grey[shape.mask(SIZE, SIZE)] += rng.choice((-1, 1)) * rng.uniform(50, 100)
    return np.asarray(grainy(rng, grey))[..., 0]


def pair(rng: np.random.Generator, angle: float) -> list[Shape]:
    """A disk and a ring in that direction of it, somewhere in the picture."""
    while True:
        disk, away = _placed(rng, "disk"), rng.uniform(*APART)
        ring = Shape("ring", disk.x + away * np.cos(angle), disk.y + away * np.sin(angle), rng.uniform(*RADIUS))
        if all(ring.radius < place < SIZE - ring.radius for place in (ring.x, ring.y)):
            return [disk, ring]


def _placed(rng: np.random.Generator, kind: str) -> Shape:
    """A shape that is whole in the picture."""
    radius = rng.uniform(*RADIUS)
    return Shape(kind, rng.uniform(radius, SIZE - radius), rng.uniform(radius, SIZE - radius), radius)


def _clear(one: Shape, other: Shape) -> bool:
    """Whether two shapes do not touch."""
    return bool(np.hypot(one.x - other.x, one.y - other.y) > one.radius + other.radius + 1)
