"""Images in IDX files, as MNIST and Fashion-MNIST come: all of a split in one file, labels in another, gzipped or not.

    root/train-images-idx3-ubyte.gz   root/train-labels-idx1-ubyte.gz   root/t10k-...

A folder that torchvision downloaded to (`root/FashionMNIST/raw/`) is read as well.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch.utils.data import Dataset

from .errors import DataError

PARTS = {"images": 3, "labels": 1}
"""What a split consists of, and the dimensions of the array in its file."""


@DATASETS.register_module()
class IdxImages(Dataset):
    """A split of IDX files. An item is {"inputs": uint8 image 3 x H x W, "labels": class}; grey is repeated.

    Args:
        root: the folder of the files, or one that torchvision downloaded to.
        split: `train` or `t10k`.
        transform: arguments of `timm.data.create_transform`.
        limit: number of images at most, the first of the file; None for all.

    Raises:
        DataError: a file is missing, is no IDX file of bytes, or the two do not belong together.
    """

    def __init__(self, root: str, split: str, transform: Mapping[str, Any], limit: int | None = None) -> None:
        self.images, self.labels = (part[:limit] for part in read_split(Path(root), split))
        self.transform: Any = create_transform(**transform, normalize=False)
        self.metainfo = {"classes": [str(label) for label in range(int(self.labels.max()) + 1)]}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = Image.fromarray(self.images[index]).convert("RGB")
        return {"inputs": self.transform(image), "labels": int(self.labels[index])}


def read_split(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images N x H x W and labels N of a split, as bytes. Raises DataError."""
    images, labels = (_read(find(root, split, part), PARTS[part]) for part in PARTS)
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{root}: {split} has {len(images)} images and {len(labels)} labels; they belong together")
    return images, labels


def find(root: Path, split: str, part: str) -> Path:
    """The file of a split's images or labels. Raises DataError where there is none."""
    name = f"{split}-{part}-idx{PARTS[part]}-ubyte"
    for folder in (root, *sorted(root.glob("*/raw"))):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise DataError(
        f"{root}: there is no {name} or {name}.gz, here or in */raw; the four files of Fashion-MNIST come with "
        "torchvision.datasets.FashionMNIST(root, download=True), or with Debian's package dataset-fashion-mnist"
    )


def _read(path: Path, dimensions: int) -> np.ndarray:
    """The array in an IDX file: two zeros, a type, the number of dimensions, their sizes (big-endian), the values."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError) as problem:
        raise DataError(f"{path}: cannot be read: {problem}") from None
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"{path}: is no IDX file of bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    values = np.frombuffer(content, np.uint8, offset=header)
    if values.size != np.prod(shape, dtype=np.int64):
        expected = " x ".join(map(str, shape))
        raise DataError(f"{path}: holds {values.size} values, its header says {expected}: a download that broke off?")
    return values.reshape(shape)
