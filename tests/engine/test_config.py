"""Configs built from protocols: every published number, and that mmengine's schedulers really follow it."""

import logging
import shutil
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

from mmengine.config import Config, ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.registry import DATASETS, MODELS, PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner
from PIL import Image

import uninas
from uninas.engine import protocol
from uninas.engine.backbone import as_genotype
from uninas.engine.check import check
from uninas.engine.config import build_config
from uninas.engine.config.frameworks import FRAMEWORKS, dense_model, levels
from uninas.engine.errors import EngineError
from uninas.mm_compat import prepare
from uninas.mm_compat.distributed import replace_sync_bn

# REFERENCE: epochs, warm-up, batch, learning rates of one process (lr, warm-up from, minimum), clip, drop path, kind
PUBLISHED = {
    "imagenet": (150, 5, 48, 1e-4, 1e-7, 1e-6, 1.0, 0.2, "CosineAnnealingLR"),
    "coco_mask_rcnn": (12, 5, 4, 2.5e-5, 1e-7, 2.5e-6, 1.0, 0.1, "MultiStepLR"),
    "ade20k_upernet": (125, 5, 4, 1.5e-5, 1e-7, 0.0, 1.0, 0.3, "LinearLR"),
}


def printed(name: str, genotype, processes: int) -> Config:
    """The config as somebody reads it back who printed it."""
    return Config.fromstring(build_config(protocol.load(name), genotype, processes=processes).pretty_text, ".py")


def learning_rates(cfg: Config, iterations: int, processes: int) -> list[float]:
    """The rate at the start of every epoch and at the very end, in a run of that many processes.

    Scaled by mmengine's own Runner, changed by mmengine's own schedulers.
    """
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    wrapper = OptimWrapper(optimizer)
    runner = SimpleNamespace(
        _train_dataloader=cfg.train_dataloader,
        world_size=processes,
        logger=logging.getLogger("test"),
        param_schedulers=cfg.param_scheduler,
    )
    Runner.scale_lr(runner, wrapper, cfg.get("auto_scale_lr"))
    schedulers = [
        PARAM_SCHEDULERS.build(dict(part), default_args={"optimizer": wrapper, "epoch_length": iterations})
        for part in cfg.param_scheduler
    ]
    seen = []
    for _ in range(cfg.train_cfg.max_epochs):
        seen.append(optimizer.param_groups[0]["lr"])
        for _ in range(iterations):
            optimizer.step()
            last = optimizer.param_groups[0]["lr"]
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in schedulers:
            if scheduler.by_epoch:
                scheduler.step()
    return [*seen, last]


@pytest.mark.parametrize("processes", [1, 8])
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_number_is_in_the_printed_config(name, processes, genotype):
    epochs, warmup, batch, lr, start, minimum, clip, drop_path, kind = PUBLISHED[name]
    cfg = printed(name, genotype, processes)
    n = processes
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.optim_wrapper.optimizer.type == "AdamW"
    assert cfg.optim_wrapper.optimizer.weight_decay == 0.05
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(n * lr, rel=1e-9)
    assert cfg.optim_wrapper.clip_grad.max_norm == clip
    assert cfg.model.backbone.drop_path_rate == drop_path
    warm, main = cfg.param_scheduler
    assert (warm.type, warm.begin, warm.end, main.type) == ("LinearLR", 0, warmup, kind)
    assert dict(cfg.uninas.learning_rates) == pytest.approx(
        {"lr": n * lr, "warmup_lr": n * start, "min_lr": n * minimum}
    )
    assert cfg.uninas.processes == processes
    follows(cfg, name, processes)


@pytest.mark.parametrize("processes", [1, 8])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_config_for_one_process_is_right_for_eight(name, processes, genotype):
    """As an exported one is run: with whatever number of GPUs."""
    follows(printed(name, genotype, 1), name, processes)
    follows(printed(name, genotype, 8), name, processes)


def follows(cfg: Config, name: str, n: int) -> None:
    """The learning rates of a run of `n` processes are the published ones."""
    _, warmup, _, lr, start, minimum, *_ = PUBLISHED[name]
    rates = learning_rates(cfg, 20, n)
    assert rates[0] == pytest.approx(n * start, rel=1e-6)
    assert rates[warmup] == pytest.approx(n * lr, rel=0.02)
    assert max(rates) <= n * lr * (1 + 1e-9)
    # The last iteration of a cosine or a line is one step short of its end.
    assert rates[-1] == pytest.approx(n * minimum, rel=1e-3, abs=n * lr * 1e-3)


def test_augmentation_and_input_as_published(genotype):
    cfg = printed("imagenet", genotype, 1)
    transform = cfg.train_dataloader.dataset.transform
    assert transform.auto_augment == "rand-m15-n2-mstd0.5" and tuple(transform.input_size) == (3, 224, 224)
    # Off unless the protocol says so.
    assert (cfg.model.label_smoothing, cfg.model.mixup, cfg.model.cutmix, cfg.model.data_preprocessor.erasing) == (
        0,
        0,
        0,
        0,
    )

    cfg = printed("coco_mask_rcnn", genotype, 1)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert tuple(steps["Resize"].scale) == (1280, 800) and steps["Resize"].keep_ratio
    assert steps["RandomFlip"].prob == 0.5
    assert cfg.model.type == "MaskRCNN" and cfg.model.roi_head.bbox_head.num_classes == 80

    cfg = printed("ade20k_upernet", genotype, 1)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert tuple(steps["RandomCrop"].crop_size) == (512, 512) and steps["RandomFlip"].prob == 0.5
    assert "PhotoMetricDistortion" in steps
    assert cfg.model.decode_head.type == "UPerHead" and cfg.model.decode_head.num_classes == 150


def test_detection_drops_twice_and_ends_at_the_minimum(genotype):
    rates = learning_rates(printed("coco_mask_rcnn", genotype, 2), 4, 2)
    assert rates[5:8] == pytest.approx([5e-5] * 3)
    assert rates[8:11] == pytest.approx([5e-5 * 0.1**0.5] * 3)
    assert rates[11:] == pytest.approx([5e-6] * 2)


def test_a_factor_of_the_drops_may_be_given_and_none_goes_below_the_minimum(genotype):
    plan = protocol.load("coco_mask_rcnn", protocol.parse_changes(["schedule.gamma=0.1"]))
    rates = learning_rates(build_config(plan, genotype), 4, 1)
    assert rates[5:8] == pytest.approx([2.5e-5] * 3) and rates[8:] == pytest.approx([2.5e-6] * 5)
    plan = protocol.load("coco_mask_rcnn", protocol.parse_changes(["schedule.gamma=0.5", "schedule.min_lr=0"]))
    assert learning_rates(build_config(plan, genotype), 4, 1)[-1] == pytest.approx(2.5e-5 / 4)


@pytest.mark.parametrize("name", ["imagenet", "coco_mask_rcnn", "ade20k_upernet"])
def test_a_config_does_not_depend_on_the_machine(name, genotype, monkeypatch):
    plan = protocol.load(name, protocol.parse_changes(["amp=bf16", "norm=sync", "model.channels_last=true"]))
    texts = []
    for gpu in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        texts.append(build_config(plan, genotype).pretty_text)
    assert texts[0] == texts[1] and "sync_bn = 'torch'" in texts[0]


@pytest.mark.parametrize(
    ("name", "norm"), [("imagenet", "train"), ("coco_mask_rcnn", "eval"), ("ade20k_upernet", "sync")]
)
def test_batch_norms_are_as_in_the_bases_of_each_task(name, norm, genotype):
    cfg = build_config(protocol.load(name), genotype)
    assert cfg.model.backbone.norm_eval == (norm == "eval") and ("sync_bn" in cfg) == (norm == "sync")
    assert {"type": "ShareBuffersHook"} in cfg.custom_hooks
    assert "SyncBN" not in build_config(protocol.load("ade20k_upernet", {"norm": "train"}), genotype).pretty_text


def test_averaging_keeps_its_pace_when_batches_are_accumulated(genotype):
    """The averages of weights that change once a step, after as many steps."""
    found = []
    for batches in (1, 4):
        plan = protocol.load("imagenet", {"ema": 0.9, "ema_warmup": 3, "optimizer": {"accumulate": batches}})
        hook = next(h for h in build_config(plan, genotype).custom_hooks if h["type"] == "EMAHook")
        settings = {key: hook[key] for key in ("momentum", "gamma", "interval", "update_buffers")}
        model = torch.nn.Linear(1, 1)
        average = MODELS.build({"type": hook["ema_type"], "model": model, **settings})
        for step in range(12):
            model.weight.data.fill_(step)
            for _ in range(batches):
                average.update_parameters(model)
        found.append(average.module.weight.item())
    assert found[0] == pytest.approx(found[1])


def test_classes_without_names_are_refused(genotype, coco, tmp_path):
    with pytest.raises(EngineError, match=r"num_classes is 7, and nothing names the classes.*data\.classes"):
        build_config(protocol.load("coco_mask_rcnn", {"data": {"num_classes": 7}}), genotype, str(tmp_path))
    named = protocol.load("coco_mask_rcnn", {"data": {"num_classes": 2, "classes": ["cat", "dog"]}})
    cfg = build_config(named, genotype, str(tmp_path))
    assert cfg.train_dataloader.dataset.metainfo.classes == ["cat", "dog"]
    with pytest.raises(EngineError, match=r"4 categories, and data\.num_classes is 80: give --set data\.num_classes=4"):
        build_config(protocol.load("coco_mask_rcnn"), genotype, str(coco))
    assert "metainfo" not in build_config(protocol.load("coco_mask_rcnn"), genotype).train_dataloader.dataset


def test_what_is_checked_is_what_mmseg_reads(genotype, ade, tmp_path):
    shutil.copytree(ade, tmp_path / "d")
    for file in sorted((tmp_path / "d" / "images").rglob("*.jpg")):
        Image.open(file).save(file.with_suffix(".png"))
        file.unlink()
    plan = protocol.load("tiny_ade", {"data": {"image_suffix": ".png"}})
    assert check(plan, tmp_path / "d") == []
    cfg = build_config(plan, genotype, str(tmp_path / "d"))
    prepare()
    with DefaultScope.overwrite_default_scope("mmseg"):
        data = DATASETS.build(cfg.val_dataloader.dataset)
    assert len(data) == 4 and data[0]["inputs"].shape[0] == 3


def test_the_genotype_is_inline_and_comes_back(genotype):
    cfg = printed("imagenet", genotype, 1)
    assert as_genotype(cfg.model.backbone.genotype) == genotype
    assert cfg.uninas.genotype.key == genotype.key


def test_settings_reach_the_config(genotype):
    changes = protocol.parse_changes(
        [
            "ema=0.99",
            "amp=bf16",
            "optimizer.accumulate=4",
            "optimizer.layer_decay=0.8",
            "seed=7",
            "deterministic=true",
            "loss=bce",
            "augmentation.random_erasing=0.25",
            "augmentation.repeats=3",
            "augmentation.label_smoothing=0.1",
            "augmentation.mixup=0.8",
            "augmentation.cutmix=1.0",
            "optimizer.betas=[0.9,0.95]",
            "optimizer.eps=1e-6",
            "model.compile=true",
            "model.channels_last=true",
            "cudnn_benchmark=true",
            "loggers=[tensorboard]",
            "data.workers=2",
            "data.persistent_workers=true",
        ]
    )
    cfg = build_config(protocol.load("imagenet", changes), genotype, pretrained="weights.pth")
    assert cfg.optim_wrapper.optimizer.betas == (0.9, 0.95) and cfg.optim_wrapper.optimizer.eps == 1e-6
    assert cfg.model.loss == "bce" and cfg.model.backbone.compile and cfg.model.backbone.channels_last
    assert cfg.env_cfg.cudnn_benchmark and cfg.visualizer.vis_backends[1].type == "TensorboardVisBackend"
    assert cfg.train_dataloader.sampler == {"type": "RepeatedAugmentation", "num_repeats": 3}
    assert cfg.train_dataloader.persistent_workers and cfg.train_dataloader.pin_memory
    hooks = {hook["type"]: hook for hook in cfg.custom_hooks}
    assert hooks["EMAHook"]["momentum"] == pytest.approx(0.01)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.dtype) == ("MixedPrecisionOptimWrapper", "bfloat16")
    assert cfg.optim_wrapper.accumulative_counts == 4 and cfg.optim_wrapper.paramwise_cfg.layer_decay == 0.8
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(4e-4)
    assert cfg.model.backbone.init_cfg.checkpoint == "weights.pth"
    assert cfg.randomness == {"seed": 7, "deterministic": True} and cfg.model.backbone.seed == 7
    assert (cfg.model.mixup, cfg.model.cutmix, cfg.model.label_smoothing) == (0.8, 1.0, 0.1)
    assert cfg.model.data_preprocessor.erasing == 0.25


def test_classes_come_from_the_data(genotype, coco, ade):
    cfg = build_config(protocol.load("tiny_coco"), genotype, str(coco))
    assert cfg.train_dataloader.dataset.metainfo.classes == ["disk", "box", "triangle", "ring"]
    cfg = build_config(protocol.load("tiny_ade"), genotype, str(ade))
    assert cfg.val_dataloader.dataset.metainfo.classes == ["sky", "grass", "house", "tree"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_necks_and_heads_fit_the_genotype(framework, genotype):
    model = ConfigDict(dense_model(framework, genotype, num_classes=3, head_width=16))
    package = FRAMEWORKS[framework].package
    with DefaultScope.overwrite_default_scope(package):
        # mmseg's base asks for SyncBN, which exists on GPUs only.
        replace_sync_bn(model)
        built = MODELS.build(model).eval()
    image = torch.zeros(1, 3, 64, 96)
    features = built.extract_feat(image)
    sizes = {tuple(f.shape[2:]) for f in features}
    assert {(16, 24), (8, 12), (4, 6), (2, 3)} & sizes
    samples = None
    if package == "mmdet":
        from mmdet.structures import DetDataSample

        samples = [DetDataSample(metainfo={"img_shape": (64, 96), "scale_factor": (1.0, 1.0)})]
    with torch.no_grad():
        built(image, samples, mode="tensor")


def test_unusual_strides_are_handled():
    # Three stages at strides 1, 2, 4, as NAS-Bench-201 has them, and two stages at one stride.
    g = uninas.blocks.network("convnext", widths=(8, 8, 16, 16), depths=(1, 1, 1, 1))
    assert levels(g) == (0, 1, 2, 3)
    model = dense_model("mask_rcnn", g, 3)
    assert tuple(model["rpn_head"]["anchor_generator"]["strides"]) == (4, 8, 16, 32, 64)


def test_faults_are_named(genotype, monkeypatch):
    with pytest.raises(EngineError, match="did you mean 'mask_rcnn'"):
        dense_model("mask_rcn", genotype, 3)
    with pytest.raises(EngineError, match="processes"):
        build_config(protocol.load("imagenet"), genotype, processes=0)
    from uninas.engine.config import bases

    monkeypatch.setattr(bases, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="pip install mmsegmentation"):
        build_config(protocol.load("ade20k_upernet"), genotype)
