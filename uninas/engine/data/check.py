"""Is this the data set that the protocol describes? Asked before a run, since mm packages find out after minutes.

Everything wrong is collected and raised together. Images are opened up to a limit, evenly spread over a split.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import DataError
from ..settings import Classification, Detection, Protocol, Segmentation
from .labels import ade_classes, read_coco

OPENED = 1000
"""Images of a split that are opened; opening a million would take longer than noticing."""
SHOWN = 5
"""Names that one message lists."""


def check(protocol: Protocol, root: str | Path) -> None:
    """Raises DataError, with a line for each fault and its remedy, unless `root` fits the protocol."""
    folder = Path(root)
    if not folder.is_dir():
        raise DataError(f"--data-root {folder}: there is no such folder; {_how_to_make(protocol)}")
    if isinstance(protocol, Classification):
        faults = _idx(protocol, folder) if protocol.data.format == "idx" else _folders(protocol, folder)
    elif isinstance(protocol, Detection):
        faults = _coco(protocol, folder)
    elif isinstance(protocol, Segmentation):
        faults = _ade(protocol, folder)
    else:
        faults = []
    if faults:
        raise DataError("\n".join(faults))


def _how_to_make(protocol: Protocol) -> str:
    kind = protocol.name.replace("_", "-").replace("tiny-digits", "digits")
    if protocol.name.startswith("tiny_"):
        return f"make the data with `uninas data make {kind} DIR`"
    return "give the folder of the data set that the protocol names"


def _folders(protocol: Classification, root: Path) -> list[str]:
    data = protocol.data
    if all((root / f"{split}.tar").is_file() for split in (data.train, data.val)):
        return []
    faults: list[str] = []
    classes: dict[str, set[str]] = {}
    for split in (data.train, data.val):
        folder = root / split
        if not folder.is_dir():
            faults.append(f"{folder}: there is no such folder; it should hold one folder a class")
            continue
        found = sorted(entry for entry in folder.iterdir() if entry.is_dir())
        classes[split] = {entry.name for entry in found}
        images = {entry: _images(entry) for entry in found}
        empty = [str(entry) for entry, files in images.items() if not files]
        if empty:
            faults.append(f"{_some(empty)}: no images in {'this class' if len(empty) == 1 else 'these classes'}")
        faults += _unreadable([file for files in images.values() for file in files])
        if len(found) != data.num_classes:
            faults.append(_wrong_number(f"{folder}: {len(found)} class folders", data.num_classes, len(found)))
    if len(classes) == 2:
        for here, there in ((data.train, data.val), (data.val, data.train)):
            lacking = sorted(classes[here] - classes[there])
            if lacking:
                faults.append(f"{root / there}: lacks the classes {_some(lacking)} that {here} has")
    return faults


def _idx(protocol: Classification, root: Path) -> list[str]:
    from ..idx import read_split  # mmengine, on which it stands, takes seconds to import

    faults: list[str] = []
    for split in (protocol.data.train, protocol.data.val):
        try:
            _, labels = read_split(root, split)
        except DataError as problem:
            faults.append(str(problem))
            continue
        classes = int(labels.max()) + 1
        if classes != protocol.data.num_classes:
            faults.append(_wrong_number(f"{root}: {split} has {classes} classes", protocol.data.num_classes, classes))
    return faults


def _coco(protocol: Detection, root: Path) -> list[str]:
    data = protocol.data
    faults: list[str] = []
    categories: list[list[str]] = []
    for folder, file in (
        (root / data.train_images, root / data.train_annotations),
        (root / data.val_images, root / data.val_annotations),
    ):
        missing = [str(path) for path, there in ((folder, folder.is_dir()), (file, file.is_file())) if not there]
        if missing:
            faults.append(f"{_some(missing)}: not there; a data set in COCO's format has both")
            continue
        try:
            content = read_coco(file)
        except DataError as problem:
            faults.append(str(problem))
            continue
        names = [category["name"] for category in content["categories"]]
        categories.append(names)
        if len(names) != data.num_classes:
            faults.append(_wrong_number(f"{file}: {len(names)} categories", data.num_classes, len(names)))
        listed = [image["file_name"] for image in content["images"]]
        present = {entry.name for entry in os.scandir(folder)}
        absent = [name for name in listed if "/" not in name and name not in present]
        if absent:
            faults.append(f"{file}: {len(absent)} images are not in {folder}: {_some(absent)}")
        faults += _mismatches(file, content)
        faults += _unreadable([folder / name for name in listed if name in present])
    if len(categories) == 2 and categories[0] != categories[1]:
        faults.append(
            f"{root}: training and validation annotations list different categories: "
            f"{_some(categories[0])} and {_some(categories[1])}"
        )
    return faults


def _mismatches(file: Path, content: dict[str, list[dict]]) -> list[str]:
    """Annotations of images or categories that the file does not list, and categories nobody uses."""
    images = {image["id"] for image in content["images"]}
    categories = {category["id"]: category["name"] for category in content["categories"]}
    faults = []
    strangers = [a["id"] for a in content["annotations"] if a["image_id"] not in images]
    if strangers:
        faults.append(f"{file}: {len(strangers)} annotations belong to images it does not list: ids {_some(strangers)}")
    unknown = [a["id"] for a in content["annotations"] if a["category_id"] not in categories]
    if unknown:
        faults.append(f"{file}: {len(unknown)} annotations have a category it does not list: ids {_some(unknown)}")
    used = {annotation["category_id"] for annotation in content["annotations"]}
    unused = [name for key, name in categories.items() if key not in used]
    if unused:
        faults.append(f"{file}: no annotation of {_some(unused)}")
    return faults


def _ade(protocol: Segmentation, root: Path) -> list[str]:
    data = protocol.data
    faults: list[str] = []
    names = ade_classes(root, data.num_classes)
    if names is not None and len(names) != data.num_classes:
        table = root / "objectInfo150.txt"
        faults.append(_wrong_number(f"{table}: {len(names)} classes", data.num_classes, len(names)))
    for images, masks in ((data.train_images, data.train_masks), (data.val_images, data.val_masks)):
        folders = [root / images, root / masks]
        missing = [str(folder) for folder in folders if not folder.is_dir()]
        if missing:
            faults.append(f"{_some(missing)}: not there; ADE20K's layout has images/ and annotations/")
            continue
        pictures, labels = ({file.stem: file for file in _images(folder)} for folder in folders)
        if not pictures:
            faults.append(f"{folders[0]}: no images in this folder")
        unpaired = sorted(set(pictures) ^ set(labels))
        if unpaired:
            where = f"{folders[0]} and {folders[1]}"
            faults.append(f"{where}: {len(unpaired)} names have an image or a mask but not both: {_some(unpaired)}")
        pairs = [(pictures[name], labels[name]) for name in sorted(set(pictures) & set(labels))]
        faults += _unreadable([picture for picture, _ in pairs])
        faults += _wrong_masks(pairs, data.num_classes)
    return faults


def _wrong_masks(pairs: list[tuple[Path, Path]], num_classes: int) -> list[str]:
    """Masks that cannot be read, differ in size from their image, or hold a class that the protocol has not."""
    faults = []
    for picture, mask in _spread(pairs):
        try:
            with Image.open(picture) as image, Image.open(mask) as labels:
                if image.size != labels.size:
                    sizes = f"{labels.size[0]} x {labels.size[1]}, its image {image.size[0]} x {image.size[1]}"
                    faults.append(f"{mask}: is {sizes}")
                if labels.mode not in ("L", "P", "I", "I;16"):
                    faults.append(f"{mask}: a mask has one channel of class numbers, this is {labels.mode}")
                    continue
                high: Any = labels.getextrema()[1]
                # 255 is left out of training by convention.
                if num_classes < high < 255 or high > 255:
                    faults.append(_wrong_number(f"{mask}: holds class number {high}", num_classes, None))
        except OSError as problem:
            if not _is_broken(picture):
                faults.append(f"{mask}: cannot be read as an image: {problem}")
    return faults[:SHOWN]


def _images(folder: Path) -> list[Path]:
    kinds = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in kinds)


def _unreadable(files: Sequence[Path]) -> list[str]:
    broken = [str(file) for file in _spread(files) if _is_broken(file)]
    return [f"{_some(broken)}: cannot be read as an image; replace or remove it"] if broken else []


def _is_broken(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            image.draft("RGB", (1, 1))  # decodes a JPEG's headers and coarse content only
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return True
    return False


def _spread(items: Sequence) -> Iterable:
    """At most OPENED of the items, evenly spread."""
    step = max(1, -(-len(items) // OPENED))
    return items[::step]


def _wrong_number(found: str, expected: int, remedy: int | None) -> str:
    change = f"; for this data give --set data.num_classes={remedy}" if remedy else ""
    return f"{found}, and the protocol's data.num_classes is {expected}{change}"


def _some(names: Iterable) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")
