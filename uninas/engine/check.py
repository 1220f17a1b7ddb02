"""Is this the data set that the protocol describes? Asked before a run, since mm packages find out after minutes.

Everything wrong is collected and raised together. Images are opened up to a limit, evenly spread over a split.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from timm.data.readers.img_extensions import get_img_extensions

from .errors import DataError
from .images import is_class
from .labels import ade_classes, read_coco
from .settings import IDX, AdeData, Classification, CocoData, Detection, FolderData, Protocol, Segmentation

OPENED = 1000
"""Images of a split that are opened; opening a million would take longer than noticing."""
SHOWN = 5
"""Names that one message lists."""


class Findings:
    """What was found: `faults`, which a run would stumble over, and `remarks`, which it would not."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.remarks: list[str] = []

    def fault(self, names: Iterable, text: str) -> None:
        """A fault if there are any names; `{}` in the text stands for them, `{n}` for how many there are."""
        self._add(self.faults, names, text)

    def remark(self, names: Iterable, text: str) -> None:
        self._add(self.remarks, names, text)

    def _add(self, found: list[str], names: Iterable, text: str) -> None:
        listed = [str(name) for name in names]
        more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        if listed:
            found.append(text.replace("{n}", str(len(listed))).replace("{}", ", ".join(listed[:SHOWN]) + more))

    def number(self, what: str, found: int, expected: int) -> None:
        """A fault unless the number of classes is the protocol's."""
        if found != expected:
            remedy = f"for this data give --set data.num_classes={found}"
            self.faults.append(f"{what}, and the protocol's data.num_classes is {expected}; {remedy}")

    def readable(self, files: Sequence[Path]) -> set[Path]:
        """Faults of images that cannot be read; returns them."""
        broken = [file for file in _sample(files) if _is_broken(file)]
        self.fault(broken, "{}: cannot be read as an image; replace or remove it")
        return set(broken)


def check(protocol: Protocol, root: str | Path) -> list[str]:
    """Look at a data set's folder and return what is remarkable but no fault.

    Raises:
        DataError: with a line for each fault and its remedy.
    """
    folder, found = Path(root), Findings()
    if not folder.is_dir():
        from ..toydata.make import KINDS

        kind = protocol.name.replace("_", "-").replace("tiny-digits", "digits")
        made = f"make the data with `uninas data make {kind} --out DIR`"
        remedy = made if kind in KINDS else "give the data set's folder"
        raise DataError(f"--data-root {folder}: there is no such folder; {remedy}")
    if isinstance(protocol, Classification):
        (_idx if protocol.data.source == IDX else _folders)(protocol.data, folder, found)
    elif isinstance(protocol, Detection):
        _coco(protocol.data, folder, found)
    elif isinstance(protocol, Segmentation):
        _ade(protocol.data, folder, found)
    if found.faults:
        raise DataError("\n".join(found.faults))
    return found.remarks


def _folders(data: FolderData, root: Path, found: Findings) -> None:
    if data.source or all((root / f"{split}.tar").is_file() for split in (data.train, data.val)):
        return  # timm's readers say themselves what they miss
    classes: dict[str, set[str]] = {}
    suffixes = tuple(get_img_extensions())
    for split in (data.train, data.val):
        folder = root / split
        if not folder.is_dir():
            found.fault([folder], "{}: there is no such folder; it should hold one folder a class")
            continue
        images = {entry.name: _files(entry, suffixes) for entry in folder.iterdir() if is_class(entry)}
        classes[split] = {name for name, files in images.items() if files}
        if split == data.train:
            found.fault([folder / name for name in sorted(set(images) - classes[split])], "{}: no images in this class")
            found.number(f"{folder}: {len(images)} class folders", len(images), data.num_classes)
        found.readable([file for files in images.values() for file in files])
    if len(classes) == 2:
        train, val = classes[data.train], classes[data.val]
        found.fault(sorted(val - train), f"{root / data.train}: lacks the classes {{}} that {data.val} has")
        found.remark(sorted(train - val), f"{root / data.val}: no images of the classes {{}}")


def _idx(data: FolderData, root: Path, found: Findings) -> None:
    from .idx import read_split  # mmengine, on which it stands, takes seconds to import

    for split in (data.train, data.val):
        try:
            _, labels = read_split(root, split)
        except DataError as problem:
            found.faults.append(str(problem))
            continue
        classes = int(labels.max()) + 1
        found.number(f"{root}: {split} has {classes} classes", classes, data.num_classes)


def _coco(data: CocoData, root: Path, found: Findings) -> None:
    categories: list[list[str]] = []
    for images, marked in (
        (data.train_images, data.train_annotations),
        (data.val_images, data.val_annotations),
    ):
        folder, file = root / images, root / marked
        missing = [path for path in (folder, file) if not path.exists()]
        found.fault(missing, "{}: not there; a data set in COCO's format has both")
        if missing:
            continue
        try:
            content = read_coco(file)
        except DataError as problem:
            found.faults.append(str(problem))
            continue
        names = {category["id"]: category["name"] for category in content["categories"]}
        if data.classes:
            found.fault(sorted(set(data.classes) - set(names.values())), f"{file}: has no category {{}}")
        else:
            categories.append(list(names.values()))
            found.number(f"{file}: {len(names)} categories", len(names), data.num_classes)
        listed = {image["id"]: image["file_name"] for image in content["images"]}
        present = {entry.name for entry in os.scandir(folder)}
        absent = [name for name in listed.values() if "/" not in name and name not in present]
        found.fault(absent, f"{file}: {{n}} images are not in {folder}: {{}}")
        marks = content["annotations"]
        strangers = [mark["id"] for mark in marks if mark["image_id"] not in listed]
        found.fault(strangers, f"{file}: {{n}} annotations belong to images it does not list: ids {{}}")
        unknown = [mark["id"] for mark in marks if mark["category_id"] not in names]
        found.fault(unknown, f"{file}: {{n}} annotations have a category it does not list: ids {{}}")
        used = {mark["category_id"] for mark in marks}
        found.remark([name for key, name in names.items() if key not in used], f"{file}: no annotation of {{}}")
        found.readable([folder / name for name in listed.values() if name in present])
    if len(categories) == 2 and categories[0] != categories[1]:
        differ = sorted(set(categories[0]) ^ set(categories[1])) or ["their order"]
        found.fault(differ, f"{root}: training and validation annotations list different categories: {{}}")


def _ade(data: AdeData, root: Path, found: Findings) -> None:
    if not data.classes:
        names = ade_classes(root, data.num_classes)
        if names is not None:
            found.number(f"{root / 'objectInfo150.txt'}: {len(names)} classes", len(names), data.num_classes)
    for images, masks in ((data.train_images, data.train_masks), (data.val_images, data.val_masks)):
        missing = [root / folder for folder in (images, masks) if not (root / folder).is_dir()]
        found.fault(missing, "{}: not there; ADE20K's layout has images/ and annotations/")
        if missing:
            continue
        stems: list[set[str]] = []
        for folder, suffix, key in ((images, data.image_suffix, "image"), (masks, data.mask_suffix, "mask")):
            files = _files(root / folder)
            others = sorted({file.suffix for file in files} - {suffix})
            remedy = f"--set data.{key}_suffix=..., or convert them"
            found.fault(others, f"{root / folder}: files end in {{}}, and {suffix} is what is read; give {remedy}")
            inside = (str(file.relative_to(root / folder)) for file in files)
            stems.append({name.removesuffix(suffix) for name in inside if name.endswith(suffix)})
        both = sorted(stems[0] & stems[1])
        found.fault([] if both else [root / images], "{}: no images with masks in this folder")
        unpaired = sorted(stems[0] ^ stems[1])
        found.fault(unpaired, f"{root / images}: {{n}} names have an image or a mask but not both: {{}}")
        pairs = [(root / images / f"{n}{data.image_suffix}", root / masks / f"{n}{data.mask_suffix}") for n in both]
        broken = found.readable([picture for picture, _ in pairs])
        whole = (pair for pair in _sample(pairs) if pair[0] not in broken)
        wrong = [fault for picture, mask in whole if (fault := _wrong_mask(picture, mask, data.num_classes))]
        found.faults += wrong[:SHOWN]


def _wrong_mask(picture: Path, mask: Path, num_classes: int) -> str | None:
    """What is wrong with a mask: it cannot be read, has another size, or holds a class that the protocol has not."""
    try:
        with Image.open(picture) as image, Image.open(mask) as labels:
            if image.size != labels.size:
                (width, height), (w, h) = labels.size, image.size
                return f"{mask}: is {width} x {height}, its image {w} x {h}"
            if labels.mode not in ("L", "P", "I", "I;16"):
                return f"{mask}: a mask has one channel of class numbers, this is {labels.mode}"
            high: Any = labels.getextrema()[1]
            # 255 is left out of training by convention.
            if num_classes < high < 255 or high > 255:
                return f"{mask}: holds class number {high}, and the protocol's data.num_classes is {num_classes}"
    except OSError as problem:
        return f"{mask}: cannot be read as an image: {problem}"
    return None


def _files(folder: Path, suffixes: Sequence[str] = ()) -> list[Path]:
    """The files in and below a folder, of these suffixes if any are given, without hidden ones."""
    found = (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    return sorted(file for file in found if not suffixes or file.suffix.lower() in suffixes)


def _is_broken(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            image.draft("RGB", (1, 1))  # decodes a JPEG's headers and coarse content only
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return True
    return False


def _sample(items: Sequence) -> Iterable:
    """At most OPENED of the items, evenly spread."""
    return items[:: max(1, -(-len(items) // OPENED))]
