"""The configs of detection and segmentation runs, on mmdet's and mmseg's own base configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...genotype import Genotype
from ...mm_compat.distributed import replace_sync_bn
from ..errors import EngineError
from ..labels import ade_classes, coco_classes
from ..settings import CocoData, Detection, Segmentation
from .bases import base, set_step
from .frameworks import FRAMEWORKS, dense_model
from .runtime import loader

BEST = {"mask_rcnn": "coco/segm_mAP", "cascade_rcnn": "coco/segm_mAP", "retinanet": "coco/bbox_mAP"}


def best_metric(protocol: Detection | Segmentation) -> str:
    """The metric that chooses the best checkpoint."""
    return "mIoU" if isinstance(protocol, Segmentation) else BEST[protocol.model.framework]


def visualizer(protocol: Detection | Segmentation) -> str:
    """mmdet's or mmseg's."""
    return "SegLocalVisualizer" if isinstance(protocol, Segmentation) else "DetLocalVisualizer"


def model(protocol: Detection | Segmentation, genotype: Genotype, **backbone: Any) -> dict[str, Any]:
    """The framework's model; a segmentor pads or crops every training image to the input size."""
    settings = protocol.model
    cfg = dense_model(
        settings.framework,
        genotype,
        protocol.data.num_classes,
        settings.head_width,
        frozen_stages=settings.frozen_stages,
        out_norm=settings.out_norm,
        **backbone,
    )
    if isinstance(protocol, Segmentation):
        cfg["data_preprocessor"]["size"] = tuple(protocol.data.input_size)
    if protocol.norm == "train":
        replace_sync_bn(cfg)
    return cfg


def data(protocol: Detection | Segmentation, root: str) -> dict[str, Any]:
    """Loaders and metrics of the task."""
    return segmentation_data(protocol, root) if isinstance(protocol, Segmentation) else detection_data(protocol, root)


def detection_data(protocol: Detection, root: str) -> dict[str, Any]:
    """COCO loaders and metrics."""
    masks = FRAMEWORKS[protocol.model.framework].masks
    cfg = base("mmdet", f"datasets/coco_{'instance' if masks else 'detection'}.py", "default_runtime.py")
    data = protocol.data
    height, width = data.input_size
    for pipeline in (cfg["train_pipeline"], cfg["test_pipeline"]):
        set_step(pipeline, "Resize", scale=(width, height))
    set_step(cfg["train_pipeline"], "RandomFlip", prob=protocol.augmentation.flip)
    names = coco_names(data, Path(root))
    loaders = {}
    for split, images, file in (
        ("train", data.train_images, data.train_annotations),
        ("val", data.val_images, data.val_annotations),
    ):
        dataset = cfg[f"{split}_dataloader"]["dataset"]
        dataset.update(
            data_root=_folder(root),
            ann_file=file,
            data_prefix={"img": f"{images}/"},
            pipeline=cfg["train_pipeline" if split == "train" else "test_pipeline"],
        )
        if names is not None:
            dataset["metainfo"] = {"classes": names}
        size = protocol.batch_size if split == "train" else protocol.val_batch_size
        loaders[split] = loader(size, data, dataset, shuffle=split == "train")
    # mmdet's sampler makes batches of images of like shape, and takes the batch size itself.
    loaders["train"].update(batch_sampler={"type": "AspectRatioBatchSampler", "drop_last": True})
    del loaders["train"]["drop_last"]
    evaluator = {**cfg["val_evaluator"], "ann_file": f"{_folder(root)}{data.val_annotations}"}
    return _joined(cfg, loaders, evaluator, "DetVisualizationHook")


def segmentation_data(protocol: Segmentation, root: str) -> dict[str, Any]:
    """ADE20K loaders and metrics."""
    cfg = base("mmseg", "datasets/ade20k.py", "default_runtime.py")
    data, augmentation = protocol.data, protocol.augmentation
    short, long = data.val_size
    train, test = cfg["train_pipeline"], cfg["test_pipeline"]
    # The shorter side of a training image is scaled around that of the crop, as mmseg does around 512.
    set_step(train, "RandomResize", scale=(4 * min(data.input_size), min(data.input_size)))
    set_step(train, "RandomResize", ratio_range=tuple(augmentation.scale))
    set_step(train, "RandomCrop", crop_size=tuple(data.input_size))
    set_step(train, "RandomFlip", prob=augmentation.flip)
    set_step(test, "Resize", scale=(long, short))
    if not augmentation.photometric_distortion:
        train = [step for step in train if step["type"] != "PhotoMetricDistortion"]
    loaders = {}
    names = data.classes or ade_classes(Path(root), data.num_classes)
    for split, images, mask_folder in (
        ("train", data.train_images, data.train_masks),
        ("val", data.val_images, data.val_masks),
    ):
        dataset = cfg[f"{split}_dataloader"]["dataset"]
        dataset.update(
            data_root=_folder(root),
            data_prefix={"img_path": images, "seg_map_path": mask_folder},
            pipeline=train if split == "train" else test,
            img_suffix=data.image_suffix,
            seg_map_suffix=data.mask_suffix,
        )
        if names is not None:
            dataset.update(
                type="BaseSegDataset",
                metainfo={"classes": list(names), "palette": _palette(len(names))},
                reduce_zero_label=True,
            )
        size = protocol.batch_size if split == "train" else protocol.val_batch_size
        loaders[split] = loader(size, data, dataset, shuffle=split == "train")
    return _joined(cfg, loaders, cfg["val_evaluator"], "SegVisualizationHook")


def coco_names(data: CocoData, root: Path) -> list[str] | None:
    """The names of the categories; None where they are COCO's own 80 and no file says so.

    Raises:
        EngineError: there are more or fewer than the protocol says, or nothing says what they are called, without
            which mmdet would look for COCO's.
    """
    names = list(data.classes) if data.classes else coco_classes(root / data.val_annotations)
    if names is not None and len(names) != data.num_classes:
        raise EngineError(
            f"{root / data.val_annotations}: {len(names)} categories, and data.num_classes is {data.num_classes}: "
            f"give --set data.num_classes={len(names)}, or choose some with data.classes"
        )
    if names is None and data.num_classes != 80:
        raise EngineError(
            f"data.num_classes is {data.num_classes}, and nothing names the classes: there is no "
            f"{root / data.val_annotations}. Give the data set's folder with --data-root, or "
            "--set 'data.classes=[NAME, ...]'"
        )
    return names


def _joined(cfg: dict[str, Any], loaders: dict[str, Any], evaluator: dict[str, Any], hook: str) -> dict[str, Any]:
    return {
        "train_dataloader": loaders["train"],
        "val_dataloader": loaders["val"],
        "test_dataloader": loaders["val"],
        "val_evaluator": evaluator,
        "test_evaluator": evaluator,
        "default_scope": cfg["default_scope"],
        "default_hooks": {"visualization": {"type": hook}},
    }


def _folder(root: str) -> str:
    return root if root.endswith("/") else f"{root}/"


def _palette(count: int) -> list[tuple[int, int, int]]:
    """Colours that are easy to tell apart for small numbers of classes."""
    return [((37 * k + 60) % 256, (91 * k + 120) % 256, (151 * k + 30) % 256) for k in range(count)]
