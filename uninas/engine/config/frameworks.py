"""Detectors and segmentors of mmdet and mmseg, their necks and heads sized from a genotype's channels and strides."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ...errors import nearest
from ...genotype import Genotype
from ..errors import EngineError
from .bases import base, set_everywhere

Levels = tuple[int, ...]
"""A number for each feature map."""


@dataclass(frozen=True)
class Framework:
    """Where a framework comes from, and whether it needs masks."""

    package: str
    config: str
    masks: bool = False


FRAMEWORKS = {
    "mask_rcnn": Framework("mmdet", "models/mask-rcnn_r50_fpn.py", masks=True),
    "cascade_rcnn": Framework("mmdet", "models/cascade-mask-rcnn_r50_fpn.py", masks=True),
    "retinanet": Framework("mmdet", "models/retinanet_r50_fpn.py"),
    "upernet": Framework("mmseg", "models/upernet_r50.py"),
    "fpn": Framework("mmseg", "models/fpn_r50.py"),
}


def levels(genotype: Genotype) -> tuple[int, ...]:
    """The stages that a dense head reads: the last one at each stride.

    Raises:
        EngineError: fewer than two strides, or strides that shrink.
    """
    strides = genotype.strides
    found = tuple(i for i in range(len(strides)) if i + 1 == len(strides) or strides[i + 1] != strides[i])
    if len(found) < 2:
        raise EngineError(f"{genotype}: all stages have stride {strides[-1]}; detection and segmentation need several")
    return found


def backbone_config(genotype: Genotype, out_indices: tuple[int, ...], **settings: Any) -> dict[str, Any]:
    """The config of a `UniNASBackbone` with the genotype inline, as JSON text.

    Text and not nested dicts, since mmengine formats the whole config anew for every checkpoint, at a second or two.
    """
    text = json.dumps(genotype.to_dict())
    return {"type": "UniNASBackbone", "genotype": text, "out_indices": tuple(out_indices), **settings}


def dense_model(
    framework: str, genotype: Genotype, num_classes: int, head_width: int | None = None, **backbone: Any
) -> dict[str, Any]:
    """The model of a framework around a genotype, inherited from mmdet's or mmseg's own base config.

    Args:
        framework: a key of FRAMEWORKS.
        head_width: channels of the neck and the heads; None keeps the base config's.
        backbone: further settings of the `UniNASBackbone`.

    Raises:
        EngineError: unknown framework, its package is missing, or the genotype does not fit it.
    """
    if framework not in FRAMEWORKS:
        raise EngineError(f"there is no framework {framework!r}; {nearest(framework, FRAMEWORKS)}")
    spec = FRAMEWORKS[framework]
    model = base(spec.package, spec.config)["model"]
    out_indices = levels(genotype)
    channels = tuple(genotype.stages[i].width for i in out_indices)
    strides = tuple(genotype.strides[i] for i in out_indices)
    model["backbone"] = backbone_config(genotype, out_indices, **backbone)
    set_everywhere(model, "num_classes", num_classes)
    _SIZING[framework](model, channels, strides, head_width)
    if spec.package == "mmseg":
        model["pretrained"] = None
    else:
        model["data_preprocessor"]["pad_size_divisor"] = strides[-1]
    return model


def _size_rcnn(model: dict[str, Any], channels: Levels, strides: Levels, width: int | None) -> None:
    """Mask R-CNN and Cascade (Mask) R-CNN: an extra pyramid level for proposals, none for the regions."""
    width = width or int(model["neck"]["out_channels"])
    model["neck"].update(in_channels=list(channels), out_channels=width, num_outs=len(channels) + 1)
    rpn, roi = model["rpn_head"], model["roi_head"]
    rpn.update(in_channels=width, feat_channels=width)
    rpn["anchor_generator"]["strides"] = (*strides, 2 * strides[-1])
    for extractor in (roi["bbox_roi_extractor"], roi["mask_roi_extractor"]):
        extractor.update(out_channels=width, featmap_strides=strides)
    heads = roi["bbox_head"] if isinstance(roi["bbox_head"], list) else [roi["bbox_head"]]
    for head in heads:
        head.update(in_channels=width, fc_out_channels=4 * width)
    roi["mask_head"].update(in_channels=width, conv_out_channels=width)


def _size_retinanet(model: dict[str, Any], channels: Levels, strides: Levels, width: int | None) -> None:
    """The pyramid starts at the second level and goes on by two, each of twice the stride."""
    width = width or int(model["neck"]["out_channels"])
    start = 1 if len(channels) > 2 else 0
    used = (*strides[start:], 2 * strides[-1], 4 * strides[-1])
    model["neck"].update(in_channels=list(channels), out_channels=width, start_level=start, num_outs=len(used))
    model["bbox_head"].update(in_channels=width, feat_channels=width)
    model["bbox_head"]["anchor_generator"]["strides"] = used


def _size_upernet(model: dict[str, Any], channels: Levels, strides: Levels, width: int | None) -> None:
    head, auxiliary = model["decode_head"], model["auxiliary_head"]
    width = width or int(head["channels"])
    head.update(in_channels=channels, in_index=tuple(range(len(channels))), channels=width)
    auxiliary.update(in_channels=channels[-2], in_index=len(channels) - 2, channels=max(width // 2, 1))


def _size_semantic_fpn(model: dict[str, Any], channels: Levels, strides: Levels, width: int | None) -> None:
    width = width or int(model["neck"]["out_channels"])
    model["neck"].update(in_channels=list(channels), out_channels=width, num_outs=len(channels))
    model["decode_head"].update(
        in_channels=(width,) * len(channels),
        in_index=tuple(range(len(channels))),
        feature_strides=strides,
        channels=max(width // 2, 1),
    )


_SIZING = {
    "mask_rcnn": _size_rcnn,
    "cascade_rcnn": _size_rcnn,
    "retinanet": _size_retinanet,
    "upernet": _size_upernet,
    "fpn": _size_semantic_fpn,
}
