"""The config of a classification run."""

from __future__ import annotations

from typing import Any

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from ...genotype import Genotype
from ..settings import IDX, Classification
from .frameworks import backbone_config
from .runtime import loader


def best_metric(protocol: Classification) -> str:
    """The metric that chooses the best checkpoint."""
    return "top1"


def visualizer(protocol: Classification) -> str:
    """mmengine's own."""
    return "Visualizer"


def model(protocol: Classification, genotype: Genotype, **backbone: Any) -> dict[str, Any]:
    """A `UniNASClassifier`."""
    augmentation = protocol.augmentation
    return {
        "type": "UniNASClassifier",
        "data_preprocessor": {
            "type": "ImagePreprocessor",
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "erasing": augmentation.random_erasing,
        },
        "backbone": backbone_config(genotype, (len(genotype.stages) - 1,), **backbone),
        "num_classes": protocol.data.num_classes,
        "loss": protocol.loss,
        "label_smoothing": augmentation.label_smoothing,
        "mixup": augmentation.mixup,
        "cutmix": augmentation.cutmix,
    }


def data(protocol: Classification, root: str) -> dict[str, Any]:
    """Loaders over timm's data sets and transforms, and top-1 and top-5 accuracy."""
    augmentation, settings = protocol.augmentation, protocol.data
    size = (3, *settings.input_size)
    train = {
        "input_size": size,
        "is_training": True,
        "scale": augmentation.crop_scale,
        "ratio": augmentation.crop_ratio,
        "hflip": augmentation.flip,
        "auto_augment": augmentation.auto_augment,
        "color_jitter": augmentation.color_jitter,
        "interpolation": augmentation.interpolation,
    }
    val = {"input_size": size, "crop_pct": settings.crop_pct, "interpolation": "bicubic"}

    def images(split: str, transform: dict[str, Any], limit: int | None) -> dict[str, Any]:
        place = {"root": root, "split": split, "transform": transform}
        if settings.source == IDX:
            return {"type": "IdxImages", **place, "limit": limit}
        return {"type": "TimmImages", **place, "source": settings.source, "classes_of": settings.train}

    train_images = images(settings.train, train, settings.train_limit)
    val_images = images(settings.val, val, settings.val_limit)
    loaders = {
        "train": loader(protocol.batch_size, settings, train_images, shuffle=True),
        "val": loader(protocol.val_batch_size, settings, val_images, shuffle=False),
    }
    if augmentation.repeats > 1:
        loaders["train"]["sampler"] = {"type": "RepeatedAugmentation", "num_repeats": augmentation.repeats}
    for each in loaders.values():
        each["collate_fn"] = {"type": "default_collate"}
    return {
        "train_dataloader": loaders["train"],
        "val_dataloader": loaders["val"],
        "test_dataloader": loaders["val"],
        "val_evaluator": {"type": "TopAccuracy"},
        "test_evaluator": {"type": "TopAccuracy"},
        "default_scope": "mmengine",
    }
