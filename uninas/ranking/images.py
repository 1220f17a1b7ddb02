"""Inputs for proxies from a folder of images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from .errors import RankingError, require

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's colour channels."""
GREY = (0.449, 0.226)
"""Mean and deviation of images of one channel: the means over the three."""


def load_images(folder: str | Path, count: int, size: int, generator: torch.Generator, channels: int = 3) -> Tensor:
    """`count` x `channels` x `size` x `size`, float32: images of the folder and its subfolders, each at most once.

    The central square of each is resized, and normalised with ImageNet's mean and deviation.

    Args:
        channels: 3 for colour, 1 for grey.

    Raises:
        RankingError: no such folder, fewer images than are needed, a file that is no image, or other channels.
    """
    if channels not in (1, 3):
        raise RankingError(f"images have 1 or 3 channels, the networks of this table take {channels}: score on noise")
    files = _files(folder)
    if len(files) < count:
        raise RankingError(
            f"{folder} holds {len(files)} images ({', '.join(sorted(SUFFIXES))}), expected at least {count}"
        )
    chosen = torch.randperm(len(files), generator=generator)[:count].tolist()
    pixels = torch.stack([_pixels(files[i], size, channels) for i in chosen])
    mean, deviation = (MEAN, DEVIATION) if channels == 3 else ((GREY[0],), (GREY[1],))
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None]


def files_digest(folder: str | Path) -> str:
    """A hash of the names and sizes of the images in the folder and its subfolders."""
    names = [f"{path.relative_to(folder)} {path.stat().st_size}" for path in _files(folder)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _files(folder: str | Path) -> list[Path]:
    return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)


def _pixels(file: Path, size: int, channels: int) -> Tensor:
    """channels x size x size, 0 .. 1."""
    image_module = require("PIL.Image")
    try:
        with image_module.open(file) as image:
            side = min(image.size)
            left, top = ((length - side) // 2 for length in image.size)
            square = image.convert("RGB" if channels == 3 else "L").resize(
                (size, size), image_module.Resampling.BICUBIC, box=(left, top, left + side, top + side)
            )
            raw = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8)
    except (OSError, ValueError) as error:
        raise RankingError(f"{file} cannot be read as an image: {error}") from error
    return raw.view(size, size, channels).permute(2, 0, 1).float() / 255
