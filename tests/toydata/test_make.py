"""The small data sets: their formats as the real readers see them, and how they are written."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uninas.engine.errors import DataError
from uninas.toydata import KINDS, MARKER, make
from uninas.toydata.relations import APART, DIRECTIONS, SIZE, pair
from uninas.toydata.shapes import Shape


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("kind", ["tiny-imagenet", "tiny-coco", "tiny-ade", "tiny-relations"])
def test_the_seed_decides_everything(tmp_path, kind):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make(kind, tmp_path / name, seed=seed, train=8, val=8)
    assert files(tmp_path / "a") == files(tmp_path / "b") != files(tmp_path / "c")


def test_tiny_imagenet_is_read_by_torchvision_and_timm(tmp_path):
    assert make("tiny-imagenet", tmp_path / "d", train=16, val=8) == {"classes": 8, "train": 16, "val": 8}
    from timm.data import create_dataset
    from torchvision.datasets import ImageFolder

    assert len(ImageFolder(str(tmp_path / "d" / "train")).classes) == 8
    data = create_dataset("", str(tmp_path / "d"), split="val")
    assert len(data) == 8 and sorted(data[i][1] for i in range(8)) == list(range(8))
    assert len({Image.open(p).size for p in (tmp_path / "d").rglob("*.JPEG")}) > 4


def test_digits_are_all_there_and_a_fifth_is_held_out(tmp_path):
    pytest.importorskip("sklearn")
    counts = make("digits", tmp_path / "d")
    names = {split: {p.name for p in (tmp_path / "d" / split).rglob("*.png")} for split in ("train", "val")}
    assert len(names["train"] | names["val"]) == 1797 and not names["train"] & names["val"]
    assert counts["val"] == len(names["val"]) == pytest.approx(1797 / 5, abs=5)
    assert {p.name for p in (tmp_path / "d" / "val").iterdir()} == {str(k) for k in range(10)}
    with pytest.raises(DataError, match="neither more nor less"):
        make("digits", tmp_path / "e", train=5)


def test_tiny_coco_is_what_pycocotools_reads(tmp_path):
    mask_tools = pytest.importorskip("pycocotools.mask")
    from pycocotools.coco import COCO

    make("tiny-coco", tmp_path / "d", train=60, val=6)
    coco = COCO(str(tmp_path / "d/annotations/instances_train2017.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["disk", "box", "triangle", "ring"]
    kinds = set()
    for image in coco.loadImgs(coco.getImgIds()):
        with Image.open(tmp_path / "d/train2017" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"]) and image["width"] != image["height"]
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            decoded = mask_tools.decode(coco.annToRLE(annotation))
            assert decoded.shape == (image["height"], image["width"])
            assert int(decoded.sum()) == pytest.approx(annotation["area"], rel=0.08)
            x, y, w, h = annotation["bbox"]
            assert decoded[y : y + h, x : x + w].sum() >= 0.97 * decoded.sum()
            kinds.add((type(annotation["segmentation"]), annotation["iscrowd"]))
    assert kinds == {(list, 0), (dict, 0), (dict, 1)}


def test_a_ring_has_a_hole():
    mask = Shape("ring", 20, 20, 12).mask(40, 40)
    assert not mask[20, 20] and mask[20, 30] and not mask[20, 35]


def test_tiny_ade_has_masks_of_the_images_sizes_and_labels(tmp_path):
    make("tiny-ade", tmp_path / "d", train=10, val=4)
    seen: set[int] = set()
    for split, count in (("training", 10), ("validation", 4)):
        images = sorted((tmp_path / "d/images" / split).glob("*.jpg"))
        assert len(images) == count
        for path in images:
            mask = Image.open(tmp_path / "d/annotations" / split / f"{path.stem}.png")
            assert mask.mode == "L" and mask.size == Image.open(path).size and mask.size[0] != mask.size[1]
            seen |= set(np.unique(np.asarray(mask)).tolist())
    assert seen == {0, 1, 2, 3, 4}
    assert (tmp_path / "d/objectInfo150.txt").read_text().splitlines()[1].endswith("\tsky")


def test_tiny_relations_is_read_as_idx_and_its_class_is_where_the_ring_is(tmp_path):
    pytest.importorskip("mmengine")
    from uninas.engine.idx import read_split

    counts = make("tiny-relations", tmp_path / "d", train=40, val=16)
    assert counts == {"classes": DIRECTIONS, "train": 40, "val": 16}
    images, labels = read_split(tmp_path / "d", "train")
    assert images.shape == (40, SIZE, SIZE) and np.bincount(labels).tolist() == [5] * DIRECTIONS
    assert len(read_split(tmp_path / "d", "t10k")[0]) == 16

    rng = np.random.default_rng(0)
    for direction in range(DIRECTIONS):
        disk, ring = pair(rng, direction * 2 * np.pi / DIRECTIONS)
        across, down = ring.x - disk.x, ring.y - disk.y
        assert round(np.arctan2(down, across) / (2 * np.pi / DIRECTIONS)) % DIRECTIONS == direction
        assert APART[0] <= np.hypot(across, down) <= APART[1]
        assert all(s.radius <= place <= SIZE - s.radius for s in (disk, ring) for place in (s.x, s.y))


def test_nothing_is_overwritten_without_force(tmp_path):
    target = tmp_path / "d"
    make("tiny-ade", target, train=1, val=1)
    before = files(target)
    with pytest.raises(DataError, match="--force"):
        make("tiny-ade", target, seed=1, train=1, val=1)
    assert files(target) == before
    make("tiny-coco", target, force=True, train=1, val=1)
    assert json.loads((target / MARKER).read_text())["kind"] == "tiny-coco" and not (target / "images").exists()


def test_force_never_replaces_what_is_not_ours(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="was not made by uninas"):
        make("tiny-ade", tmp_path / "d", force=True, train=1, val=1)
    assert (tmp_path / "d" / "thesis.tex").exists()


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(root, rng, **sizes):
        (root / "half").mkdir()
        raise OSError("disk full")

    monkeypatch.setitem(KINDS, "tiny-ade", broken)
    with pytest.raises(OSError, match="disk full"):
        make("tiny-ade", tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_unknown_kinds_and_sizes_are_named(tmp_path):
    with pytest.raises(DataError, match="did you mean 'tiny-coco'"):
        make("tiny-cocoo", tmp_path / "d")
    with pytest.raises(DataError, match="val=0"):
        make("tiny-coco", tmp_path / "d", val=0)
