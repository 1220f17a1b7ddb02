"""mmdet's DINO and Mask2Former configs with a found backbone: a few steps of training and a validation."""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("mmdet")

from mmengine.config import Config

from uninas.engine import protocol
from uninas.engine.config import build_config
from uninas.engine.run import train_config

CHANGES = ["schedule.epochs=1", "schedule.warmup_epochs=0", "schedule.kind=constant", "schedule.milestones=[]"]
CHANGES += ["val_every=1", "data.input_size=[96, 128]", "batch_size=4"]


def stock_model(name: str) -> Config:
    """The model of a config that travels with mmdet."""
    folder = Path(find_spec("mmdet").submodule_search_locations[0], ".mim", "configs")
    return Config.fromfile(folder / name, import_custom_modules=False).model


def dino() -> Config:
    model = stock_model("dino/dino-4scale_r50_8xb2-12e_coco.py")
    model.neck.in_channels = [16, 32, 32]
    model.num_queries, model.bbox_head.num_classes = 20, 4
    model.encoder.num_layers = model.decoder.num_layers = 1
    model.dn_cfg.group_cfg.num_dn_queries = 10
    model.test_cfg.max_per_img = 20
    return model


def mask2former() -> Config:
    model = stock_model("mask2former/mask2former_r50_8xb2-lsj-50e_coco.py")
    model.data_preprocessor.batch_augments = None
    head = model.panoptic_head
    head.in_channels, head.num_queries = [8, 16, 32, 32], 20
    for part in (head, model.panoptic_fusion_head):
        part.num_things_classes, part.num_stuff_classes = 4, 0
    head.loss_cls.class_weight = [1.0] * 4 + [0.1]
    head.pixel_decoder.encoder.num_layers = head.transformer_decoder.num_layers = 1
    model.train_cfg.num_points = 256
    model.test_cfg.max_per_image = 20
    return model


@pytest.mark.slow
@pytest.mark.parametrize(("build", "stages"), [(dino, (1, 2, 3)), (mask2former, (0, 1, 2, 3))])
def test_one_epoch(build, stages, genotype, coco, tmp_path):
    plan = protocol.load("tiny_coco", protocol.parse_changes(CHANGES))
    cfg = build_config(plan, genotype, str(coco), work_dir=str(tmp_path))
    ours = cfg.model.backbone
    ours.out_indices = stages
    cfg.model = build()
    cfg.model.backbone = ours
    metric = "bbox" if build is dino else "segm"
    cfg.val_evaluator.metric, cfg.default_hooks.checkpoint.save_best = [metric], None
    outcome = train_config(cfg)
    assert 0 <= outcome.metrics[f"coco/{metric}_mAP"] <= 1 or outcome.metrics[f"coco/{metric}_mAP"] == -1
