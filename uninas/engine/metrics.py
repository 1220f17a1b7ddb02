"""Accuracy of a classifier."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS
from timm.utils.metrics import accuracy
from torch import Tensor


@METRICS.register_module()
class TopAccuracy(BaseMetric):
    """Of samples {"logits": classes, "label": class}: top-k accuracies in percent, as `top1`, `top5`, and the mean
    `cross_entropy` in nats of those whose logits are finite.

    A network that has diverged scores nothing: logits that are not finite are wrong (the log says how many), and a
    class that shares its logit with others ranks behind them.
    """

    default_prefix = None

    def __init__(self, topk: Sequence[int] = (1, 5), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        self.results.extend(self._judged(sample["logits"].float(), sample["label"]) for sample in data_samples)

    def _judged(self, logits: Tensor, label: int) -> list[float] | None:
        """100 or 0 for each k, and the loss; None where the logits are not finite."""
        if not bool(logits.isfinite().all()):
            return None
        loss = float(logits.logsumexp(0) - logits[label])
        # The next number below the right class's logit: smaller than any that it is equal to.
        logits = logits.clone()
        logits[label] = torch.nextafter(logits[label], logits.new_tensor(-torch.inf))
        hits = accuracy(logits[None], torch.tensor([label], device=logits.device), self.topk)
        return [*(float(hit) for hit in hits), loss]

    def compute_metrics(self, results: list[list[float] | None]) -> dict[str, float]:
        invalid = results.count(None)
        if invalid:
            print_log(
                f"the network's output is not finite on {invalid} of {len(results)} images, which count as wrong",
                logger="current",
                level=logging.WARNING,
            )
        hits = torch.tensor([(row or [0.0] * len(self.topk))[: len(self.topk)] for row in results])
        found = {f"top{k}": float(mean) for k, mean in zip(self.topk, hits.mean(0))}
        losses = [row[-1] for row in results if row is not None]
        return {**found, "cross_entropy": float(np.mean(losses))} if losses else found
