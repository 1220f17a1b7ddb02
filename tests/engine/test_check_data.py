"""What is wrong with a data set is named before a run: which file, and what to do."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uninas.engine import protocol
from uninas.engine.check import check
from uninas.engine.errors import DataError
from uninas.toydata import make


@pytest.fixture
def folders(tmp_path) -> Path:
    make("tiny-imagenet", tmp_path / "d", train=16, val=8)
    return tmp_path / "d"


@pytest.fixture
def coco(tmp_path) -> Path:
    make("tiny-coco", tmp_path / "d", train=12, val=12)
    return tmp_path / "d"


@pytest.fixture
def ade(tmp_path) -> Path:
    make("tiny-ade", tmp_path / "d", train=4, val=2)
    return tmp_path / "d"


def complaint(name: str, root: Path, **changes) -> str:
    with pytest.raises(DataError) as caught:
        check(protocol.load(name, changes), root)
    return str(caught.value)


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_missing_folder_says_how_to_make_it(tmp_path):
    assert "uninas data make tiny-coco --out DIR" in complaint("tiny_coco", tmp_path / "none")
    assert "uninas data make digits --out DIR" in complaint("tiny_digits", tmp_path / "none")
    assert "give the data set's folder" in complaint("tiny_fashion", tmp_path / "none")
    assert "no such folder" in complaint("imagenet", tmp_path / "none")


class TestFolders:
    def test_right(self, folders):
        check(protocol.load("tiny_imagenet"), folders)

    def test_a_missing_split(self, folders):
        (folders / "val").rename(folders / "valid")
        assert f"{folders / 'val'}: there is no such folder" in complaint("tiny_imagenet", folders)

    def test_an_empty_class(self, folders):
        for file in (folders / "train" / "n90000002").iterdir():
            file.unlink()
        assert f"{folders / 'train' / 'n90000002'}: no images" in complaint("tiny_imagenet", folders)

    def test_another_number_of_classes(self, folders):
        text = complaint("tiny_imagenet", folders, data={"num_classes": 5})
        assert "8 class folders" in text and "num_classes is 5" in text and "--set data.num_classes=8" in text

    def test_validation_may_lack_a_class(self, folders):
        shutil.rmtree(folders / "val" / "n90000003")
        (folders / "train" / ".ipynb_checkpoints").mkdir()  # no class
        assert check(protocol.load("tiny_imagenet"), folders) == [
            f"{folders / 'val'}: no images of the classes n90000003"
        ]

    def test_validation_has_a_class_of_its_own(self, folders):
        (folders / "val" / "n90000003").rename(folders / "val" / "other")
        assert "lacks the classes other that val has" in complaint("tiny_imagenet", folders)

    def test_kinds_of_files_that_timm_does_not_read(self, folders):
        for file in (folders / "train" / "n90000002").iterdir():
            file.rename(file.with_suffix(".bmp"))
        assert f"{folders / 'train' / 'n90000002'}: no images" in complaint("tiny_imagenet", folders)

    def test_an_image_that_cannot_be_read(self, folders):
        file = next((folders / "val" / "n90000001").iterdir())
        file.write_bytes(file.read_bytes()[:200])
        assert f"{file}: cannot be read as an image" in complaint("tiny_imagenet", folders)


class TestCoco:
    def test_right(self, coco):
        check(protocol.load("tiny_coco"), coco)

    def test_missing_annotations(self, coco):
        file = coco / "annotations" / "instances_val2017.json"
        file.unlink()
        assert f"{file}: not there" in complaint("tiny_coco", coco)

    def test_annotations_that_are_something_else(self, coco):
        file = coco / "annotations" / "instances_val2017.json"
        file.write_text('{"images": []}')
        assert "no list 'annotations'" in complaint("tiny_coco", coco)
        file.write_text("{")
        assert f"{file}: is not JSON" in complaint("tiny_coco", coco)

    def test_another_number_of_classes(self, coco):
        text = complaint("coco_mask_rcnn", coco)
        assert "4 categories" in text and "num_classes is 80" in text and "--set data.num_classes=4" in text

    def test_images_that_are_not_there(self, coco):
        (coco / "train2017" / "000000000003.jpg").unlink()
        text = complaint("tiny_coco", coco)
        assert "1 images are not in" in text and "000000000003.jpg" in text

    def test_annotations_that_do_not_match(self, coco):
        file = coco / "annotations" / "instances_train2017.json"
        edit(file, lambda content: content["annotations"][0].update(image_id=999))
        assert "images it does not list: ids 1" in complaint("tiny_coco", coco)
        edit(file, lambda content: content["annotations"][1].update(category_id=77))
        assert "a category it does not list: ids 2" in complaint("tiny_coco", coco)

    def test_a_class_nobody_annotated_is_no_fault(self, coco):
        file = coco / "annotations" / "instances_val2017.json"
        edit(file, lambda c: c.update(annotations=[a for a in c["annotations"] if a["category_id"] != 4]))
        assert check(protocol.load("tiny_coco"), coco) == [f"{file}: no annotation of ring"]

    def test_some_of_the_categories_may_be_chosen(self, coco):
        some = {"data": {"num_classes": 2, "classes": ["box", "ring"]}}
        check(protocol.load("tiny_coco", some), coco)
        wrong = {"num_classes": 2, "classes": ["box", "star"]}
        assert "has no category star" in complaint("tiny_coco", coco, data=wrong)

    def test_splits_with_different_classes(self, coco):
        edit(coco / "annotations/instances_val2017.json", lambda c: c["categories"][0].update(name="circle"))
        assert "has no category disk" in complaint("tiny_coco", coco)
        assert "different categories: circle, disk" in complaint("tiny_coco", coco, data={"classes": None})

    def test_an_image_that_cannot_be_read(self, coco):
        file = coco / "train2017" / "000000000001.jpg"
        file.write_bytes(b"not an image")
        assert f"{file}: cannot be read as an image" in complaint("tiny_coco", coco)


class TestAde:
    def test_right(self, ade):
        check(protocol.load("tiny_ade"), ade)

    def test_an_image_without_a_mask(self, ade):
        (ade / "annotations/training/ADE_train_00000002.png").unlink()
        assert "1 names have an image or a mask but not both: ADE_train_00000002" in complaint("tiny_ade", ade)

    def test_images_of_another_kind_than_mmseg_reads(self, ade):
        for file in sorted((ade / "images").rglob("*.jpg")):
            Image.open(file).save(file.with_suffix(".png"))
            file.unlink()
        text = complaint("tiny_ade", ade)
        assert "files end in .png, and .jpg is what is read; give --set data.image_suffix" in text
        assert check(protocol.load("tiny_ade", {"data": {"image_suffix": ".png"}}), ade) == []

    def test_a_mask_of_another_size(self, ade):
        Image.fromarray(np.ones((10, 12), np.uint8)).save(ade / "annotations/validation/ADE_val_00000001.png")
        assert "ADE_val_00000001.png: is 12 x 10, its image" in complaint("tiny_ade", ade)

    def test_a_class_beyond_the_protocol(self, ade):
        file = ade / "annotations/validation/ADE_val_00000001.png"
        labels = np.asarray(Image.open(file)).copy()
        labels[0, -1] = 9
        Image.fromarray(labels).save(file)
        text = complaint("tiny_ade", ade)
        assert f"{file}: holds class number 9" in text and "num_classes is 4" in text

    def test_a_coloured_mask(self, ade):
        file = ade / "annotations/validation/ADE_val_00000001.png"
        Image.open(file).convert("RGB").save(file)
        assert "this is RGB" in complaint("tiny_ade", ade)

    def test_another_number_of_classes(self, ade):
        assert "4 classes, and the protocol's data.num_classes is 7" in complaint(
            "tiny_ade", ade, data={"num_classes": 7, "classes": None}
        )
