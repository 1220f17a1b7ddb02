"""Scores of one network over several initialisations, for people and as JSON data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import torch

from ..errors import ProxyError
from ..genotype import Genotype
from ..ops import Size
from ..proxies import PROXIES, parse
from ..search.scoring import ProxyScorer


def score_table(
    genotype: Genotype,
    names: Sequence[str],
    size: Size,
    batch: int,
    classes: int,
    repeats: int,
    seed: int,
    device: str = "cpu",
) -> dict[str, dict[str, Any]]:
    """Mean, standard error and seconds a score for each proxy; the mean is None where a score failed.

    Args:
        names: of `uninas.proxies.available()`.
        size: height and width of the noise images.
        repeats: initialisations, each with its own noise images.
        device: what scores, as torch calls it.

    Raises:
        ProxyError: an unknown proxy, or an aggregate, which one network alone has no value of.
    """
    check_single(names)
    scorer = ProxyScorer(size, batch, classes, seed, device)
    measured = [scorer.measure(genotype, "search", repeat, names) for repeat in range(repeats)]
    rows = {}
    for name, scores in zip(names, zip(*measured)):
        values = [score.value for score in scores if score.value is not None]
        complete = len(values) == repeats
        spread = statistics.stdev(values) / math.sqrt(repeats) if complete and repeats > 1 else None
        rows[name] = {
            "mean": statistics.fmean(values) if complete else None,
            "standard_error": spread,
            "values": [score.value for score in scores],
            "failure": next((score.reason for score in scores if score.reason), None),
            "seconds": statistics.fmean(score.seconds for score in scores),
            "device": device,
            "threads": torch.get_num_threads(),
        }
    return rows


def check_single(names: Sequence[str]) -> None:
    """Raises ProxyError for a proxy that is unknown, or an aggregate, which one network alone has no value of."""
    for name in names:
        if name not in PROXIES:
            parts = ", ".join(parse(name).proxies)
            raise ProxyError(
                f"{name} ranks networks among each other: it is for `uninas search --proxy` and `uninas rank --proxy`; "
                f"score one network with {parts}"
            )
