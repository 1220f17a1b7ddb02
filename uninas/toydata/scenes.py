"""Small data sets in COCO's and in ADE20K's format and folder layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .shapes import COLOURS, SHAPES, background, grainy, scatter, tinted

ADE_CLASSES = ("sky", "grass", "house", "tree")
ADE_COLOURS = ((120, 170, 235), (90, 150, 70), (190, 120, 90), (40, 90, 45))


def tiny_coco(root: Path, rng: np.random.Generator, train: int = 160, val: int = 32) -> dict[str, int]:
    """Up to four shapes an image, of varying sizes that are not square, with COCO's file names and annotations.

    Disks, boxes and triangles are annotated as polygons, rings (they have a hole) as run lengths; one box in
    twenty is marked as a crowd, as COCO does for what is not to be scored.
    """
    from pycocotools import mask as coco_mask

    for split, count in (("train2017", train), ("val2017", val)):
        (root / split).mkdir(parents=True)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for i in range(count):
            width, height = _sizes(rng)
            picture = background(rng, width, height)
            for shape in scatter(rng, width, height, int(rng.integers(1, 5))):
                mask = shape.mask(width, height)
                picture[mask] = tinted(rng, COLOURS[shape.kind])
                crowd = shape.kind == "box" and rng.random() < 0.05
                runs: Any = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": i + 1,
                        "category_id": SHAPES.index(shape.kind) + 1,
                        "bbox": [int(n) for n in coco_mask.toBbox(runs)],
                        "area": int(coco_mask.area(runs)),
                        "iscrowd": int(crowd),
                        "segmentation": {**runs, "counts": runs["counts"].decode()}
                        if crowd or shape.kind == "ring"
                        else [shape.outline()],
                    }
                )
            name = f"{i + 1:012d}.jpg"
            grainy(rng, picture).save(root / split / name, quality=92)
            images.append({"id": i + 1, "file_name": name, "width": width, "height": height})
        categories = [{"id": k + 1, "name": name, "supercategory": "shape"} for k, name in enumerate(SHAPES)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return {"classes": len(SHAPES), "train": train, "val": val}


def tiny_ade(root: Path, rng: np.random.Generator, train: int = 120, val: int = 30) -> dict[str, int]:
    """Sky, grass, houses and trees in ADE20K's layout: JPEG images, PNG masks with 0 for what nobody labelled."""
    for split, count in (("training", train), ("validation", val)):
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            picture, labels = _scene(rng)
            name = f"ADE_{'train' if split == 'training' else 'val'}_{i + 1:08d}"
            picture.save(root / "images" / split / f"{name}.jpg", quality=92)
            Image.fromarray(labels).save(root / "annotations" / split / f"{name}.png")
    rows = ["Idx\tRatio\tTrain\tVal\tName", *(f"{k + 1}\t0\t{train}\t{val}\t{n}" for k, n in enumerate(ADE_CLASSES))]
    (root / "objectInfo150.txt").write_text("\n".join(rows) + "\n")
    return {"classes": len(ADE_CLASSES), "train": train, "val": val}


def _scene(rng: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """A picture and its labels (height, width), 0 for unlabelled and k + 1 for class k."""
    width, height = _sizes(rng)
    labels = np.ones((height, width), np.uint8)
    labels[int(height * rng.uniform(0.4, 0.6)) :] = 2
    for shape in scatter(rng, width, height, int(rng.integers(1, 4))):
        labels[shape.mask(width, height)] = 3 if shape.kind in ("box", "triangle") else 4
    picture = np.zeros((height, width, 3))
    for k, colour in enumerate(ADE_COLOURS):
        picture[labels == k + 1] = tinted(rng, colour)
    # A strip along one side that the annotators left out, as ADE20K has.
    labels[:, : int(rng.integers(0, 6))] = 0
    return grainy(rng, picture), labels


def _sizes(rng: np.random.Generator) -> tuple[int, int]:
    """A width and a height, never equal."""
    short, ratio = int(rng.integers(96, 145)), rng.uniform(1.15, 1.7)
    long = int(short * ratio)
    return (long, short) if rng.random() < 0.7 else (short, long)
