"""How well scores order networks: Kendall's tau-b, Spearman's correlation, nDCG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BenchmarkError, require

GAIN_DEPTH = 1000
"""Ranks that nDCG looks at in the published tables, over 9,445 networks."""

Scores = Sequence[float | None] | ArrayLike
"""One score a network, higher is better; None and non-finite values are failures."""


@dataclass(frozen=True)
class Metrics:
    """Agreement of scores with accuracies; 1 is a perfect order."""

    kendall: float
    """tau-b, -1 .. 1."""
    spearman: float
    """-1 .. 1."""
    ndcg: float
    """0 .. 1, dominated by the few best networks: one percent more accuracy is twice the gain."""


def metrics(acc: ArrayLike, score: Scores, *, k: int = GAIN_DEPTH) -> Metrics:
    """Agreement of `score` with `acc`.

    nDCG = sklearn.metrics.ndcg_score(2^acc - 1, score, k), as in Tybl and Neumann (2025): networks of equal score
    share their gains, so their order in the table has no influence. Its value depends on the number of networks -
    among fewer the best are found at earlier ranks - so it compares only over the same networks.

    Args:
        acc: N accuracies in percent.
        score: N scores, of which only the order matters. Failures rank last, all alike.
        k: ranks that nDCG looks at.

    Raises:
        BenchmarkError: fewer than 2 networks, lengths differ, an accuracy outside 0 .. 100, or accuracies or scores
            that are all equal.
    """
    stats, quality = require("scipy.stats"), require("sklearn.metrics")
    accuracies, ranks = checked(acc, score)
    return Metrics(
        kendall=float(stats.kendalltau(ranks, accuracies).statistic),
        spearman=float(stats.spearmanr(ranks, accuracies).statistic),
        ndcg=float(quality.ndcg_score(gains(accuracies)[None], ranks[None], k=k)),
    )


def gains(accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
    """2^acc - 1, times 2^-100: nDCG is a ratio of gains, and scikit-learn warns of numbers beyond an int64."""
    return np.ldexp(np.exp2(accuracies) - 1, -100)


def ranks_of(score: Scores) -> NDArray[np.int64]:
    """Dense ranks, 1 for the lowest score; 0 for failures (None and non-finite values)."""
    values = np.array([np.nan if value is None else value for value in np.asarray(score, dtype=object)], dtype=float)
    valid = np.isfinite(values)
    ranks = np.zeros(len(values), dtype=np.int64)
    ranks[valid] = np.unique(values[valid], return_inverse=True)[1] + 1
    return ranks


def checked(acc: ArrayLike, score: Scores) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Accuracies, and the scores' ranks.

    Raises:
        BenchmarkError: see `metrics`.
    """
    accuracies = np.asarray(acc, dtype=np.float64)
    if accuracies.ndim != 1 or len(accuracies) < 2:
        raise BenchmarkError(f"a ranking needs a list of at least 2 accuracies, got shape {accuracies.shape}")
    bad = ~((accuracies >= 0) & (accuracies <= 100))
    if bad.any():
        raise BenchmarkError(f"an accuracy is a percentage, got {accuracies[bad][0]} at position {bad.argmax()}")
    ranks = ranks_of(score)
    if len(ranks) != len(accuracies):
        raise BenchmarkError(f"{len(accuracies)} accuracies but {len(ranks)} scores")
    for name, values in (("accuracies", accuracies), ("scores", ranks)):
        if np.ptp(values) == 0:
            what = "failures" if name == "scores" and ranks[0] == 0 else "equal"
            raise BenchmarkError(f"the {len(values)} {name} are all {what}: there is nothing to rank")
    return accuracies, ranks
