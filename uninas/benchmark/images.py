"""Inputs for proxies from a folder of images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from .errors import BenchmarkError, require

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's colour channels."""


def load_images(folder: str | Path, count: int, size: int, generator: torch.Generator) -> Tensor:
    """`count` x 3 x `size` x `size`, float32: images drawn from the folder and its subfolders, each at most once.

    The central square of each is resized, and normalised with ImageNet's mean and deviation.

    Raises:
        BenchmarkError: no such folder, fewer images than wanted, or a file that is no image.
    """
    files = _files(folder)
    if len(files) < count:
        raise BenchmarkError(f"{folder} holds {len(files)} images ({', '.join(sorted(SUFFIXES))}), wants {count}")
    chosen = torch.randperm(len(files), generator=generator)[:count].tolist()
    pixels = torch.stack([_pixels(files[i], size) for i in chosen])
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def files_digest(folder: str | Path) -> str:
    """A hash of the names and sizes of the images in the folder and its subfolders."""
    names = [f"{path.relative_to(folder)} {path.stat().st_size}" for path in _files(folder)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _files(folder: str | Path) -> list[Path]:
    return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)


def _pixels(file: Path, size: int) -> Tensor:
    """3 x size x size, 0 .. 1."""
    image_module = require("PIL.Image")
    try:
        with image_module.open(file) as image:
            side = min(image.size)
            left, top = ((length - side) // 2 for length in image.size)
            square = image.convert("RGB").resize(
                (size, size), image_module.Resampling.BICUBIC, box=(left, top, left + side, top + side)
            )
            raw = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8)
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{file} cannot be read as an image: {error}") from error
    return raw.view(size, size, 3).permute(2, 0, 1).float() / 255
