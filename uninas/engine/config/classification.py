"""The config of a classification run."""

from __future__ import annotations

from typing import Any

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from ...genotype import Genotype
from ..settings import Classification
from .frameworks import backbone_config
from .runtime import loader

BEST = "top1"


def model(protocol: Classification, genotype: Genotype, **backbone: Any) -> dict[str, Any]:
    """A `UniNASClassifier`."""
    augmentation = protocol.augmentation
    return {
        "type": "UniNASClassifier",
        "data_preprocessor": {"type": "BaseDataPreprocessor"},
        "backbone": backbone_config(genotype, (len(genotype.stages) - 1,), **backbone),
        "num_classes": protocol.data.num_classes,
        "label_smoothing": augmentation.label_smoothing,
        "mixup": augmentation.mixup,
        "cutmix": augmentation.cutmix,
    }


def data(protocol: Classification, root: str) -> dict[str, Any]:
    """Loaders over timm's transforms and folders, and top-1 and top-5 accuracy."""
    augmentation, settings = protocol.augmentation, protocol.data
    common = {
        "input_size": (3, *settings.input_size),
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
    }
    train = {
        **common,
        "is_training": True,
        "scale": augmentation.crop_scale,
        "ratio": augmentation.crop_ratio,
        "hflip": augmentation.flip,
        "auto_augment": augmentation.auto_augment,
        "color_jitter": augmentation.color_jitter,
        "re_prob": augmentation.random_erasing,
        "re_mode": "pixel",
        "interpolation": augmentation.interpolation,
    }
    val = {**common, "crop_pct": settings.crop_pct, "interpolation": "bicubic"}
    workers = settings.workers

    def images(split: str, transform: dict[str, Any], limit: int | None) -> dict[str, Any]:
        if settings.format == "idx":
            return {"type": "IdxImages", "root": root, "split": split, "transform": transform, "limit": limit}
        return {"type": "ImageFolders", "root": root, "split": split, "transform": transform}

    train_images = images(settings.train, train, settings.train_limit)
    val_images = images(settings.val, val, settings.val_limit)
    cfg: dict[str, Any] = {
        "train_dataloader": loader(protocol.batch_size, workers, train_images, shuffle=True),
        "val_dataloader": loader(protocol.val_batch_size, workers, val_images, shuffle=False),
        "val_evaluator": {"type": "TopAccuracy"},
    }
    for key in ("train_dataloader", "val_dataloader"):
        cfg[key]["collate_fn"] = {"type": "default_collate"}
    return {
        **cfg,
        "test_dataloader": cfg["val_dataloader"],
        "test_evaluator": cfg["val_evaluator"],
        "default_scope": "mmengine",
        "visualizer": {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]},
    }
