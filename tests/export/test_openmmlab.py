"""Exported configs, run by mmdet's and mmseg's own tools without a uninas command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

from mmengine.config import Config

import uninas
from uninas.engine.backbone import UniNASBackbone, as_genotype
from uninas.engine.config.frameworks import FRAMEWORKS
from uninas.engine.errors import EngineError, ExportError
from uninas.errors import UninasError
from uninas.export.openmmlab import export
from uninas.toydata import make


@pytest.fixture(scope="module")
def genotype():
    return uninas.blocks.network("coatnet", widths=(8, 16, 32, 32), depths=(1, 1, 1, 1))


@pytest.fixture
def weights(genotype, tmp_path) -> Path:
    """As a classification run leaves them."""
    backbone = UniNASBackbone(genotype, seed=5)
    state = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "epoch_9.pth")
    return tmp_path / "epoch_9.pth"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_written(framework, genotype, weights, tmp_path):
    done = export(genotype, FRAMEWORKS[framework].package, tmp_path / "out", framework, weights)
    cfg = Config.fromfile(done.config)
    assert as_genotype(cfg.model.backbone.genotype) == genotype and "_base_ =" not in done.config.read_text()
    assert cfg.custom_imports.imports == ["uninas.engine.registered"]
    assert cfg.model.backbone.init_cfg.checkpoint == str(tmp_path / "out" / "backbone.pth")
    neck = cfg.model.neck if "neck" in cfg.model else cfg.model.decode_head
    assert list(neck.in_channels) == [8, 16, 32, 32]
    saved = torch.load(done.checkpoint, weights_only=True)
    plain = uninas.build(genotype, features_only=True)
    assert list(saved["state_dict"]) == list(plain.state_dict())
    assert saved["meta"]["genotype"]["key"] == genotype.key
    text = done.readme.read_text()
    assert f"uninas mm train {done.config.name}" in text and f"uninas mm test {done.config.name}" in text


def test_without_weights(genotype, tmp_path):
    done = export(genotype, "mmseg", tmp_path / "out")
    assert done.checkpoint is None and "no weights" in done.readme.read_text()
    assert Config.fromfile(done.config).model.backbone.init_cfg is None


def test_it_is_for_one_gpu_and_follows_their_number(genotype, tmp_path):
    done = export(genotype, "mmdet", tmp_path / "out")
    cfg = Config.fromfile(done.config)
    assert cfg.optim_wrapper.optimizer.lr == 2.5e-5 and cfg.train_dataloader.batch_size == 4
    assert cfg.auto_scale_lr == {"enable": True, "base_batch_size": 4}
    assert "torchrun --nproc_per_node 8" in done.readme.read_text()


def test_classes_that_nothing_names(genotype, tmp_path):
    with pytest.raises(EngineError, match="nothing names the classes"):
        export(genotype, "mmdet", tmp_path / "out", changes={"data": {"num_classes": 7}})
    assert not (tmp_path / "out").exists()
    seven = {"data": {"num_classes": 7, "classes": list("abcdefg")}}
    cfg = Config.fromfile(export(genotype, "mmdet", tmp_path / "out", changes=seven).config)
    assert cfg.val_dataloader.dataset.metainfo.classes == list("abcdefg")


def test_norms_of_the_outputs_are_exported_where_the_checkpoint_has_them(genotype, tmp_path):
    backbone = UniNASBackbone(genotype, out_norm=True)
    torch.nn.init.normal_(backbone.out_norms["1"].bias)
    torch.save({"state_dict": backbone.state_dict()}, tmp_path / "w.pth")
    done = export(genotype, "mmseg", tmp_path / "out", weights=tmp_path / "w.pth")
    cfg = Config.fromfile(done.config)
    built = UniNASBackbone(**{key: value for key, value in cfg.model.backbone.items() if key != "type"})
    built.init_weights()
    assert torch.equal(built.out_norms["1"].bias, backbone.out_norms["1"].bias)


def test_the_folder_may_move(genotype, weights, tmp_path):
    done = export(genotype, "mmdet", tmp_path / "out", weights=weights)
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    cfg = Config.fromfile(tmp_path / "elsewhere" / done.config.name)
    assert cfg.model.backbone.init_cfg.checkpoint == str(tmp_path / "elsewhere" / "backbone.pth")


def test_faults(genotype, weights, tmp_path):
    with pytest.raises(ExportError, match="did you mean 'mmdet'"):
        export(genotype, "mmdett", tmp_path / "o")
    with pytest.raises(ExportError, match=r"mmseg has no 'mask_rcnn'; choose from: fpn, upernet"):
        export(genotype, "mmseg", tmp_path / "o", "mask_rcnn")
    with pytest.raises(UninasError, match=r"model\.framework"):
        export(genotype, "mmdet", tmp_path / "o", protocol="ade20k_upernet")
    with pytest.raises(EngineError, match="there is no such checkpoint"):
        export(genotype, "mmdet", tmp_path / "o", weights=tmp_path / "none.pth")
    other = uninas.blocks.network("resnet", widths=(8, 12, 16, 24), depths=(1, 1, 1, 1))
    with pytest.raises(EngineError, match="checkpoint of another genotype"):
        export(other, "mmdet", tmp_path / "o", weights=weights)
    assert not (tmp_path / "o").exists()
    export(genotype, "mmseg", tmp_path / "o")
    with pytest.raises(ExportError, match="exists already"):
        export(genotype, "mmseg", tmp_path / "o")
    export(genotype, "mmdet", tmp_path / "o", force=True)
    assert [file.name for file in (tmp_path / "o").glob("*.py")] == ["coatnet_mask_rcnn.py"]


def stock(tool: str, folder: Path, *arguments: str) -> str:
    """Run the package's own script, as the README of the export tells."""
    done = subprocess.run(
        [sys.executable, "-m", "uninas", "mm", tool, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(uninas.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("package", ["mmdet", "mmseg"])
def test_stock_tools_train_validate_resume_and_test(package, genotype, weights, tmp_path):
    kind, metric = {"mmdet": ("coco", "coco/segm_mAP_50"), "mmseg": ("ade", "mIoU")}[package]
    make(f"tiny-{kind}", tmp_path / "data", train=8, val=8)
    small = {"data": {"input_size": [96, 128]}, "model": {"head_width": 16}, "val_every": 1, "log_every": 1}
    done = export(
        genotype,
        package,
        tmp_path / "out",
        weights=weights,
        protocol=f"tiny_{kind}",
        changes=small,
        data_root=str(tmp_path / "data"),
    )
    arguments = (done.config.name, "--work-dir", "work", "--cfg-options")
    first = stock("train", tmp_path / "out", *arguments, "train_cfg.max_epochs=1")
    assert "tensors loaded" in first and metric in first
    second = stock("train", tmp_path / "out", *arguments, "train_cfg.max_epochs=2", "--resume")
    assert "resumed epoch: 1" in second and (tmp_path / "out" / "work" / "epoch_2.pth").is_file()
    tested = stock("test", tmp_path / "out", done.config.name, "work/epoch_2.pth")
    assert metric in tested
