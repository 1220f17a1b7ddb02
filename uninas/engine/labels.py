"""The classes that a data set names itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import DataError


def coco_classes(annotations: Path) -> list[str] | None:
    """The names of a COCO file's categories, in the order in which mmdet numbers them; None where it is missing.

    Raises:
        DataError: the file is not COCO's format.
    """
    return [category["name"] for category in read_coco(annotations)["categories"]] if annotations.is_file() else None


def read_coco(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The content of a COCO annotation file.

    Raises:
        DataError: the file is missing, broken, or lacks images, annotations or categories.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise DataError(f"{path}: is not JSON: {problem}") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{path}: has no list {key!r}, so it is not a COCO instances file")
    return content


def ade_classes(root: Path, num_classes: int) -> list[str] | None:
    """The class names of a data set in ADE20K's layout; None where they are ADE20K's own 150.

    They come from `objectInfo150.txt`, as ADE20K ships it; without that file they are numbered.
    """
    table = root / "objectInfo150.txt"
    if num_classes == 150:
        return None
    if not table.is_file():
        return [f"class_{k + 1}" for k in range(num_classes)]
    return [row.split("\t")[-1].split(",")[0] for row in table.read_text(encoding="utf-8").splitlines()[1:] if row]
