"""Images in IDX files: every layout that people have, and files that are not what they seem."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")

from uninas.engine import protocol
from uninas.engine.check import check
from uninas.engine.errors import DataError, ProtocolError
from uninas.engine.idx import IdxImages, read_split

TRANSFORM = {"input_size": (3, 32, 32), "crop_pct": 1.0}


def idx(array: np.ndarray) -> bytes:
    """An array as the content of an IDX file."""
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(root: Path, split: str = "train", count: int = 30, classes: int = 10, zipped: bool = True) -> np.ndarray:
    """A split of random images; returns its labels."""
    rng = np.random.default_rng(0)
    labels = (np.arange(count) % classes).astype(np.uint8)
    images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    root.mkdir(parents=True, exist_ok=True)
    for part, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx(array)
        path = root / f"{split}-{part}-ubyte{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(content) if zipped else content)
    return labels


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("folder", ["", "FashionMNIST/raw"])
def test_reads_what_debian_and_torchvision_write(tmp_path, zipped, folder):
    labels = write(tmp_path / folder, zipped=zipped)
    images, found = read_split(tmp_path, "train")
    assert images.shape == (30, 28, 28)
    assert found.tolist() == labels.tolist()


def test_items_are_images_of_three_channels(tmp_path):
    write(tmp_path)
    data = IdxImages(str(tmp_path), "train", TRANSFORM, limit=12)
    assert len(data) == 12
    item = data[3]
    assert tuple(item["inputs"].shape) == (3, 32, 32)
    assert item["labels"] == 3
    assert item["inputs"].dtype == torch.uint8
    assert (item["inputs"][0] == item["inputs"][1]).all()


def test_a_missing_file_is_named_with_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*dataset-fashion-mnist"):
        read_split(tmp_path, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG" + bytes(40), "is no IDX file"),
        (idx(np.zeros((30, 28, 28), np.uint8))[:-5], "header says 30 x 28 x 28"),
        (idx(np.zeros((29, 28, 28), np.uint8)), "29 images and 30 labels"),
        (b"", "is no IDX file"),
    ],
)
def test_files_that_are_not_what_they_seem(tmp_path, content, message):
    write(tmp_path, zipped=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_split(tmp_path, "train")


def test_a_download_that_broke_off_is_said(tmp_path):
    write(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"images-idx3-ubyte\.gz: cannot be read"):
        read_split(tmp_path, "train")


def test_data_are_checked_before_a_run(tmp_path):
    plan = protocol.load("tiny_fashion")
    write(tmp_path)
    with pytest.raises(DataError, match="t10k-images"):
        check(plan, tmp_path)
    write(tmp_path, "t10k", classes=7)
    with pytest.raises(DataError, match=r"t10k has 7 classes.*data.num_classes=7"):
        check(plan, tmp_path)
    write(tmp_path, "t10k")
    check(plan, tmp_path)


def test_limits_are_for_idx_files():
    with pytest.raises(ProtocolError, match="train_limit"):
        protocol.load("tiny_digits", {"data": {"train_limit": 5}})
