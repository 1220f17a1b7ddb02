"""Bootstrap intervals of the metrics: networks are drawn with replacement, thousands of times.

A draw is how often each network occurs, so the metrics of all draws are a few array operations on an R x N matrix of
counts, which gives the numbers that scipy and scikit-learn give for the drawn lists, a hundred times faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BenchmarkError
from .metrics import GAIN_DEPTH, Metrics, Scores, checked, gains, metrics

Interval = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Intervals:
    """(low, high) of each metric."""

    kendall: Interval
    spearman: Interval
    ndcg: Interval


def bootstrap(
    acc: ArrayLike,
    runs: Sequence[Scores],
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    k: int = GAIN_DEPTH,
) -> tuple[Metrics, Intervals]:
    """Metrics averaged over runs, and their percentile intervals over draws of networks.

    Args:
        acc: N accuracies in percent.
        runs: N scores a run, such as one run a seed; every run sees the same draws.
        rng: draws the networks.
        level: coverage of the intervals.
        k: ranks that nDCG looks at.

    Raises:
        BenchmarkError: no runs, a level outside (0, 1), or see `metrics`.
    """
    _check(runs, resamples, level)
    found = [metrics(acc, run, k=k) for run in runs]
    values = _mean_of_runs(acc, runs, draws(rng, len(np.asarray(acc)), resamples), k)
    mean = Metrics(*(float(np.mean([getattr(m, name) for m in found])) for name in Metrics.__dataclass_fields__))
    return mean, _intervals(values, level)


def difference(
    acc: ArrayLike,
    runs: Sequence[Scores],
    baseline: Sequence[Scores],
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    k: int = GAIN_DEPTH,
) -> Intervals:
    """Intervals of how much higher the metrics of `runs` are than those of `baseline`, on the same draws.

    Raises:
        BenchmarkError: see `bootstrap`.
    """
    _check(runs, resamples, level)
    _check(baseline, resamples, level)
    counts = draws(rng, len(np.asarray(acc)), resamples)
    return _intervals(_mean_of_runs(acc, runs, counts, k) - _mean_of_runs(acc, baseline, counts, k), level)


def draws(rng: np.random.Generator, size: int, resamples: int) -> NDArray[np.int64]:
    """R x N: how often each of N networks occurs when N are drawn with replacement."""
    return rng.multinomial(size, np.full(size, 1 / size), size=resamples)


def resampled(acc: ArrayLike, score: Scores, counts: NDArray[np.int64], k: int = GAIN_DEPTH) -> Floats:
    """R x 3: Kendall's tau-b, Spearman's correlation and nDCG of each draw; NaN where a draw leaves one undefined.

    Raises:
        BenchmarkError: see `metrics`.
    """
    accuracies, ranks = checked(acc, score)
    blocks = [  # to bound the memory of large tables
        np.stack(
            [
                _kendall(block, accuracies, ranks),
                _spearman(block, accuracies, ranks),
                _dcg(block, ranks, accuracies, k) / _dcg(block, accuracies, accuracies, k),
            ],
            axis=1,
        )
        for block in np.array_split(counts, max(1, counts.size // 1_000_000))
    ]
    return np.concatenate(blocks)


def _mean_of_runs(acc: ArrayLike, runs: Sequence[Scores], counts: NDArray[np.int64], k: int) -> Floats:
    return np.mean([resampled(acc, run, counts, k) for run in runs], axis=0)


def _intervals(values: Floats, level: float) -> Intervals:
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Intervals(*((float(a), float(b)) for a, b in zip(low, high)))


def _check(runs: Sequence[Scores], resamples: int, level: float) -> None:
    if not len(runs) or resamples < 1 or not 0 < level < 1:
        given = f"{len(runs)} runs, {resamples} resamples, level {level}"
        raise BenchmarkError(f"wants at least one run, at least one resample and a level in (0, 1); got {given}")


def _groups(counts: NDArray[np.int64], values: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """N, the index of each network's group of equal values, ascending; and R x G, the size of each group."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    index = np.empty(len(values), dtype=np.int64)
    index[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    return index, np.add.reduceat(counts[:, order], starts, axis=1)


def _kendall(counts: NDArray[np.int64], x: NDArray, y: NDArray) -> Floats:
    """(concordant - discordant) / sqrt(pairs that differ in x * pairs that differ in y)."""
    weights = counts.astype(np.float32)
    agreement = np.zeros(len(counts))
    for rows in np.array_split(np.arange(len(x)), max(1, len(x) ** 2 // 4_000_000)):
        signs = np.sign(x[rows, None] - x[None, :]) * np.sign(y[rows, None] - y[None, :])
        # The product has whole numbers below 2^24: exact in single precision.
        agreement += ((weights @ signs.T.astype(np.float32)) * weights[:, rows]).sum(1, dtype=np.float64)
    pairs = np.square(counts.sum(1), dtype=np.float64)
    differ = [pairs - np.square(_groups(counts, v)[1], dtype=np.float64).sum(1) for v in (x, y)]
    with np.errstate(invalid="ignore"):
        return agreement / np.sqrt(differ[0] * differ[1])


def _spearman(counts: NDArray[np.int64], x: NDArray, y: NDArray) -> Floats:
    """Correlation of the mid-ranks."""
    centred = []
    for values in (x, y):
        index, sizes = _groups(counts, values)
        middle = np.cumsum(sizes, axis=1) - sizes / 2
        centred.append((middle - counts.sum(1, keepdims=True) / 2)[:, index])
    a, b = centred
    with np.errstate(invalid="ignore"):
        return (counts * a * b).sum(1) / np.sqrt((counts * a * a).sum(1) * (counts * b * b).sum(1))


def _dcg(counts: NDArray[np.int64], by: NDArray, accuracies: Floats, k: int) -> Floats:
    """Discounted gain of the first k in descending order of `by`; equal ones share what their places are worth."""
    index, sizes = _groups(counts, -by)
    last = np.cumsum(sizes, axis=1)
    places = np.arange(counts.sum(1).max())
    worth = np.concatenate([[0.0], np.cumsum(np.where(places < k, 1 / np.log2(places + 2), 0.0))])
    mean_worth = (worth[last] - worth[last - sizes]) / np.maximum(sizes, 1)
    return (counts * gains(accuracies) * mean_worth[:, index]).sum(1)
