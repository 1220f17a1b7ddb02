"""Writes the small data sets to a folder, completely or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..engine.errors import DataError
from ..engine.files import new_folder
from ..errors import nearest
from . import folders, relations, scenes

MARKER = "made_by_uninas.json"

KINDS: dict[str, Callable[..., dict[str, int]]] = {
    "tiny-imagenet": folders.tiny_imagenet,
    "digits": folders.digits,
    "tiny-coco": scenes.tiny_coco,
    "tiny-ade": scenes.tiny_ade,
    "tiny-relations": relations.tiny_relations,
}


def make(kind: str, directory: str | Path, seed: int = 0, force: bool = False, **sizes: int) -> dict[str, int]:
    """Write the data set `kind` to `directory`; the same seed gives the same files.

    Args:
        kind: one of `KINDS`.
        directory: must not exist, or be empty, unless `force` is given and it holds a data set made here before.
        sizes: `train` and `val`, the numbers of images, where the data set has no size of its own.

    Returns:
        How many classes, training and validation images were written.

    Raises:
        DataError: unknown kind, or a directory that would be overwritten.
    """
    if kind not in KINDS:
        raise DataError(f"there is no data set {kind!r} to make; {nearest(kind, KINDS)}")
    if kind == "digits" and sizes:
        raise DataError("the digits are 1,797 images, neither more nor less: leave out the numbers of images")
    for split, count in sizes.items():
        if count < 1:
            raise DataError(f"{split}={count}: a data set needs at least one image a split")
    with new_folder(Path(directory), MARKER, force, DataError) as folder:
        counts = KINDS[kind](folder, np.random.default_rng(seed), **sizes)
        (folder / MARKER).write_text(json.dumps({"kind": kind, "seed": seed, **counts}) + "\n")
    return counts
