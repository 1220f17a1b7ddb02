"""A found network under timm's own training functions, the second road to a trained network."""

import pytest
import torch

pytest.importorskip("sklearn")

from timm.data import Mixup, create_dataset, create_loader
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, ModelEmaV3, accuracy

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
    mixup = Mixup(mixup_alpha=0.1, num_classes=10)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=4e-3, weight_decay=0.05)
    epochs = 5
    scheduler, _ = create_scheduler_v2(optimizer, sched="cosine", num_epochs=epochs, warmup_epochs=1, warmup_lr=1e-5)
    average, loss_of = ModelEmaV3(model, decay=0.9, use_warmup=True), SoftTargetCrossEntropy()
    for epoch in range(epochs):
        scheduler.step(epoch)
        model.train()
        for images, labels in loaders["train"]:
            images, labels = mixup(images[: len(images) // 2 * 2], labels[: len(labels) // 2 * 2])
            loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update(model)
    hits = AverageMeter()
    with torch.inference_mode():
        for images, labels in loaders["val"]:
            hits.update(accuracy(average.module.eval()(images), labels)[0].item(), len(labels))
    assert hits.avg > 70  # chance is 10; five epochs gave 82
