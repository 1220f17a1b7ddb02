"""Small data sets with one folder a class, as ImageNet and torchvision's ImageFolder have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..engine.errors import DataError
from .shapes import grainy

STRIPES = 8


def tiny_imagenet(root: Path, rng: np.random.Generator, train: int = 256, val: int = 64) -> dict[str, int]:
    """ImageNet's layout with 8 classes of stripes: the direction and the pitch make the class, colours mean nothing.

    Writes `train/n9000000K/*.JPEG` and `val/n9000000K/*.JPEG`, of varying sizes; `train` and `val` images in all.
    """
    for split, count in (("train", train), ("val", val)):
        for i in range(count):
            label = i % STRIPES
            name = f"n{90000000 + label:08d}"
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            _stripes(rng, label).save(folder / f"{name}_{i}.JPEG", quality=92)
    return {"classes": STRIPES, "train": train, "val": val}


def _stripes(rng: np.random.Generator, label: int) -> Image.Image:
    width, height = (int(n) for n in rng.integers(56, 97, 2))
    angle, pitch = (label % 4) * np.pi / 4 + rng.uniform(-0.12, 0.12), (6, 14)[label // 4]
    y, x = np.mgrid[0:height, 0:width]
    phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / pitch + rng.uniform(0, 2 * np.pi)
    bright = (np.sin(phase)[..., None] + 1) / 2
    low, high = rng.uniform(0, 110, 3), rng.uniform(140, 255, 3)
    return grainy(rng, low + bright * (high - low))


def digits(root: Path, rng: np.random.Generator) -> dict[str, int]:
    """scikit-learn's 1,797 handwritten digits as 32 x 32 PNGs, a fifth of every class held out in `val`.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as missing:
        raise DataError(
            "the digits come with scikit-learn, which is not installed: pip install scikit-learn"
        ) from missing
    images, labels = load_digits(return_X_y=True)
    counts = {"classes": 10, "train": 0, "val": 0}
    for label in range(10):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out = round(len(members) / 5)
        for position, index in enumerate(members):
            split = "val" if position < held_out else "train"
            counts[split] += 1
            folder = root / split / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            pixels = (images[index].reshape(8, 8) * (255 / 16)).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return counts
