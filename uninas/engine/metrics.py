"""Accuracy of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS


@METRICS.register_module()
class TopAccuracy(BaseMetric):
    """Top-k accuracies in percent, as `top1`, `top5`."""

    default_prefix = None

    def __init__(self, topk: Sequence[int] = (1, 5), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        self.results.extend(sample["rank"] for sample in data_samples)

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        ranks = torch.tensor(results)
        return {f"top{k}": float((ranks < k).float().mean() * 100) for k in self.topk}
