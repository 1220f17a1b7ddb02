"""A found network under timm's own training functions, the second road to a trained network."""

import pytest
import torch

pytest.importorskip("sklearn")

from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter, ModelEmaV3, accuracy
from timm_loop import train

import uninas
from uninas.toydata import make


@pytest.mark.slow
def test_digits(tmp_path):
    """What the loop of timm's train.py calls: loader, mixup, optimiser, schedule, average of the weights, accuracy."""
    make("digits", tmp_path / "d")
    genotype = uninas.blocks.network("resnet", widths=(16, 24, 32, 48), depths=(1, 1, 1, 1))
    model = uninas.build(genotype, num_classes=10, drop_path_rate=0.05, seed=0)
    torch.manual_seed(0)
    loaders = {}
    for split in ("train", "val"):
        data = create_dataset("", str(tmp_path / "d"), split=split)
        loaders[split] = create_loader(
            data,
            input_size=(3, 32, 32),
            batch_size=64,
            is_training=split == "train",
            hflip=0.0,
            scale=(0.7, 1.0),
            crop_pct=1.0,
            num_workers=0,
            use_prefetcher=False,
            persistent_workers=False,
        )
    optimizer = create_optimizer_v2(model, opt="adamw", lr=4e-3, weight_decay=0.05)
    average = ModelEmaV3(model, decay=0.9, use_warmup=True)
    train(model, loaders["train"], optimizer, average, epochs=5)
    hits = AverageMeter()
    with torch.inference_mode():
        for images, labels in loaders["val"]:
            hits.update(accuracy(average.module.eval()(images), labels)[0].item(), len(labels))
    assert hits.avg > 70  # chance is 10; five epochs gave 82
