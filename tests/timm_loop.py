"""The loop of timm's train.py over ten classes: schedule, mixup, a step, the average of the weights."""

from __future__ import annotations

from timm.data import Mixup
from timm.loss import SoftTargetCrossEntropy
from timm.scheduler import create_scheduler_v2
from timm.utils import dispatch_clip_grad


def train(model, loader, optimizer, average, epochs: int, clip: float | None = None) -> None:
    """Trains `model` and its `average`; `clip`: largest norm of the gradients."""
    mixup, loss_of = Mixup(mixup_alpha=0.1, num_classes=10), SoftTargetCrossEntropy()
    scheduler, _ = create_scheduler_v2(optimizer, sched="cosine", num_epochs=epochs, warmup_epochs=1, warmup_lr=1e-5)
    for epoch in range(epochs):
        scheduler.step(epoch)
        model.train()
        for images, labels in loader:
            images, labels = mixup(images[: len(images) // 2 * 2], labels[: len(labels) // 2 * 2])
            loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                dispatch_clip_grad(model.parameters(), clip)
            optimizer.step()
            average.update(model)
