"""The four published backbones inside Mask R-CNN at 1280 x 800 and UperNet at 512 x 512: one forward and backward.

    OMP_NUM_THREADS=2 python benchmarks/engine_published.py [--only coatnet]

Minutes a network and up to 15 GB on a CPU; a quarter of an hour for `vit`, which attends over 64,000 positions.
FLOPs are 2 per multiply-add of one image. Published values are those of arXiv 2510.06035 and its talk, as FLOPs of
detector and segmentor; they are met by the backbone alone at that size. The column `whole` adds neck and heads, counted
by torch on a forward pass: 1,000 proposals through the box head, 100 through the mask head.
"""

from __future__ import annotations

import argparse
import time

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch.utils.flop_counter import FlopCounterMode

import uninas
from uninas.engine import registered
from uninas.engine.config.frameworks import dense_model
from uninas.mm_compat.distributed import replace_sync_bn

PUBLISHED = {
    "resnet": (24.8, 184, 47),
    "efficientnet": (24.0, 124, 32),
    "vit": (26.4, None, None),
    "coatnet": (26.9, 296, 51),
}
"""Backbone parameters in millions, FLOPs in G of Mask R-CNN and of UperNet."""


def detector(name: str):
    """Mask R-CNN, its image and its annotations."""
    from mmdet.registry import MODELS as DETECTORS
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    model = DETECTORS.build(ConfigDict(dense_model("mask_rcnn", uninas.blocks.network(name), 80)))
    height, width = 800, 1280
    sample = DetDataSample()
    shape = {"img_shape": (height, width), "ori_shape": (height, width), "batch_input_shape": (height, width)}
    sample.set_metainfo({**shape, "pad_shape": (height, width), "scale_factor": (1.0, 1.0)})
    masks = torch.zeros(2, height, width, dtype=torch.uint8)
    masks[0, 100:300, 200:500] = masks[1, 400:700, 600:1000] = 1
    boxes = torch.tensor([[200.0, 100, 500, 300], [600, 400, 1000, 700]])
    annotated = BitmapMasks(masks.numpy(), height, width)
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([3, 7]), masks=annotated)
    return model, torch.randn(1, 3, height, width), [sample]


def segmentor(name: str):
    """UperNet, its image and its labels. Two images: batch norms at 1 x 1 (the pooled features) need more than one."""
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS as SEGMENTORS
    from mmseg.structures import SegDataSample

    cfg = dense_model("upernet", uninas.blocks.network(name), 150)
    replace_sync_bn(cfg)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo={"img_shape": (512, 512), "ori_shape": (512, 512), "pad_shape": (512, 512)})
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 150, (1, 512, 512)))
        samples.append(sample)
    return SEGMENTORS.build(ConfigDict(cfg)), torch.randn(2, 3, 512, 512), samples


def measure(scope: str, make, name: str) -> tuple[float, float]:
    """FLOPs in G of one image outside of the backbone, and seconds of a forward and backward pass."""
    with DefaultScope.overwrite_default_scope(scope):
        model, images, samples = make(name)
        model.eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            if scope == "mmdet":
                model(images, samples, mode="tensor")
            else:
                model(images[:1], samples[:1], mode="tensor")
        model.train()
        began = time.perf_counter()
        loss, _ = model.parse_losses(model(images, samples, mode="loss"))
        loss.backward()
        seconds = time.perf_counter() - began
    bad = [n for n, p in model.backbone.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    if bad or not loss.isfinite():
        raise RuntimeError(f"{name}: no finite gradient for {bad[:3] or 'the loss'}")
    backbone = sum(counter.get_flop_counts()[f"{type(model).__name__}.backbone"].values())
    return (counter.get_total_flops() - backbone) / 1e9, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PUBLISHED, action="append", help="measure this network (repeatable)")
    names = parser.parse_args().only or list(PUBLISHED)
    if not registered.MODULES or "UniNASBackbone" not in MODELS:
        raise RuntimeError("the backbone is not registered")
    print(f"{'':14}{'backbone':>10}{'Mask R-CNN 1280 x 800, GFLOPs':>44}{'UperNet 512 x 512, GFLOPs':>44}")
    head = f"{'published':>10}{'backbone':>10}{'whole':>8}{'fwd+bwd s':>16}"
    print(f"{'':14}{'params':>10}{head}{head}")
    for name in names:
        genotype = uninas.blocks.network(name)
        cells = ""
        for scope, make, size, published in (
            ("mmdet", detector, (800, 1280), PUBLISHED[name][1]),
            ("mmseg", segmentor, (512, 512), PUBLISHED[name][2]),
        ):
            backbone = 2 * uninas.cost(genotype, size, num_classes=0).macs / 1e9
            others, seconds = measure(scope, make, name)
            cells += f"{published or '-':>10}{backbone:>10.1f}{backbone + others:>8.0f}{seconds:>16.1f}"
        print(f"{name:14}{uninas.cost(genotype).params / 1e6:>9.2f}M{cells}", flush=True)


if __name__ == "__main__":
    main()
