"""Bootstrap intervals of the metrics: networks are drawn with replacement, thousands of times.

    draws = Draws(labels, np.random.default_rng(0))
    ours, theirs = draws.judge([score]), draws.judge([other])
    ours.metrics.kendall, ours.intervals().kendall, ours.lead(theirs).kendall

A draw is how often each network occurs, so most metrics of all draws are a few array operations on an R x N matrix of
counts, which gives the numbers that scipy and scikit-learn give for the drawn lists, a hundred times faster. All scores
are judged on the same draws, so that a lead has an interval of its own, narrower than those of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .errors import RankingError
from .labels import Floats, Labels, Scores
from .metrics import GAIN_DEPTH, NAMES, Metrics, families, gains, metrics, residuals, tau_b, top_count

Interval = tuple[float, float]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Intervals:
    """(low, high) of each metric; None where it is not defined."""

    kendall: Interval | None
    spearman: Interval | None
    ndcg: Interval | None
    given_size: Interval | None
    within_family: Interval | None
    top: Interval | None


@dataclass(frozen=True)
class Judged:
    """How well scores rank, averaged over runs.

    Attributes:
        metrics: on the networks as they are.
        values: draws x metrics, NaN where a draw leaves one undefined.
    """

    metrics: Metrics
    values: Floats

    def intervals(self, level: float = 0.95) -> Intervals:
        """Percentile intervals. Raises RankingError for a level outside (0, 1)."""
        return _intervals(self.values, level)

    def lead(self, other: Judged, level: float = 0.95) -> Intervals:
        """Intervals of how much higher the metrics are than those of `other`, on the same draws."""
        return _intervals(self.values - other.values, level)


class Draws:
    """Draws of the networks that `labels` are of.

    Args:
        rng: draws.
        resamples: how many draws.
        k: ranks that nDCG looks at.

    Raises:
        RankingError: no resamples.
    """

    def __init__(self, labels: Labels, rng: np.random.Generator, resamples: int = 1000, k: int = GAIN_DEPTH) -> None:
        if resamples < 1:
            raise RankingError(f"expected at least one resample, got {resamples}")
        self.labels, self.k = labels, k
        size = len(labels)
        counts = rng.multinomial(size, np.full(size, 1 / size), size=resamples)
        self.counts = counts
        """R x N: how often each of N networks occurs when N are drawn with replacement."""
        self._blocks = np.array_split(counts, max(1, counts.size // 1_000_000))  # bounds the memory of large tables

    def judge(self, runs: Sequence[Scores]) -> Judged:
        """Metrics averaged over runs, such as one run a seed; every run sees the same draws.

        Raises:
            RankingError: no runs, or see `metrics`.
        """
        if not len(runs):
            raise RankingError("expected at least one run of scores")
        found = np.mean([metrics(self.labels, run, k=self.k).row() for run in runs], axis=0)
        return Judged(Metrics.of(found), np.mean([self.values(run) for run in runs], axis=0))

    def values(self, score: Scores) -> Floats:
        """R x metrics of one run, in the order of `metrics.NAMES`."""
        ranks, upward = self.labels.ranks_of(score), self.labels.upward
        rows = families(self.labels)
        found = []
        for block, theirs in zip(self._blocks, self._label_residuals):
            taus = [_kendall(block[:, family], upward[family], ranks[family]) for family in rows]
            columns = {
                "kendall": _kendall(block, upward, ranks),
                "spearman": _spearman(block, upward, ranks),
                "ndcg": self._ndcg(block, ranks),
                "given_size": self._given_size(block, ranks, theirs),
                "within_family": _nanmean(taus, len(block)),
                "top": _best(block, ranks, self.labels.values, _equal_worth(top_count(len(upward)))),
            }
            found.append(np.stack([columns[name] for name in NAMES], axis=1))
        return np.concatenate(found)

    def _ndcg(self, counts: Counts, ranks: NDArray) -> Floats:
        if not self.labels.percent or not self.labels.higher_is_better:
            return np.full(len(counts), np.nan)
        gain = gains(self.labels.values)
        worth = np.where(np.arange(len(self.labels)) < self.k, 1 / np.log2(np.arange(len(self.labels)) + 2), 0.0)
        return _best(counts, ranks, gain, worth) / _best(counts, self.labels.values, gain, worth)

    @cached_property
    def _label_residuals(self) -> list[Floats]:
        """Of each block; they are the same for all scores."""
        return [self._residuals(block, self.labels.upward) for block in self._blocks]

    def _residuals(self, counts: Counts, values: NDArray) -> Floats:
        known = self.labels.sized
        if known.sum() < 3 or self.labels.sizes is None:
            return np.zeros((len(counts), 0))
        counts = counts[:, known]
        sizes = [_mid_ranks(counts, size) for size in self.labels.sizes[known].T]
        return residuals(_mid_ranks(counts, values[known]), np.stack(sizes, axis=-1), counts.astype(np.float64))

    def _given_size(self, counts: Counts, ranks: NDArray, theirs: Floats) -> Floats:
        if not theirs.shape[1]:
            return np.full(len(counts), np.nan)
        ours, known = self._residuals(counts, ranks), counts[:, self.labels.sized]
        lists = zip(ours, theirs, known)  # residuals differ between draws: a tau of its own for each
        return np.array([tau_b(np.repeat(a, times), np.repeat(b, times)) for a, b, times in lists])


def _intervals(values: Floats, level: float) -> Intervals:
    if not 0 < level < 1:
        raise RankingError(f"a level lies in (0, 1), got {level}")
    return Intervals(*_each_interval(values, level))


def _each_interval(values: Floats, level: float) -> Iterator[Interval | None]:
    for column in values.T:
        defined = column[np.isfinite(column)]
        ends = [(1 - level) / 2, (1 + level) / 2]
        yield tuple(float(end) for end in np.quantile(defined, ends)) if len(defined) else None  # type: ignore[misc]


def _nanmean(rows: Sequence[Floats], size: int) -> Floats:
    """The mean over rows of what is defined; NaN where nothing is."""
    there = np.isfinite(np.reshape(rows, (len(rows), size)))
    sums = np.where(there, np.reshape(rows, (len(rows), size)), 0.0).sum(0)
    return np.divide(sums, there.sum(0), out=np.full(size, np.nan), where=there.any(0))


def _groups(counts: Counts, values: NDArray) -> tuple[NDArray[np.int64], Counts]:
    """N, the index of each network's group of equal values, ascending; and R x G, the size of each group."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    index = np.empty(len(values), dtype=np.int64)
    index[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    return index, np.add.reduceat(counts[:, order], starts, axis=1)


def _mid_ranks(counts: Counts, values: NDArray) -> Floats:
    """R x N: the mean place of a network among those of a draw, from 1."""
    index, sizes = _groups(counts, values)
    return (np.cumsum(sizes, axis=1) - sizes / 2 + 0.5)[:, index]


def _kendall(counts: Counts, x: NDArray, y: NDArray) -> Floats:
    """(concordant - discordant) / sqrt(pairs that differ in x * pairs that differ in y)."""
    weights = counts.astype(np.float32)
    agreement = np.zeros(len(counts))
    for rows in np.array_split(np.arange(len(x)), max(1, len(x) ** 2 // 4_000_000)):
        signs = np.sign(x[rows, None] - x[None, :]) * np.sign(y[rows, None] - y[None, :])
        # The product has whole numbers below 2^24: exact in single precision.
        agreement += ((weights @ signs.T.astype(np.float32)) * weights[:, rows]).sum(1, dtype=np.float64)
    pairs = np.square(counts.sum(1), dtype=np.float64)
    differ = [pairs - np.square(_groups(counts, v)[1], dtype=np.float64).sum(1) for v in (x, y)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return agreement / np.sqrt(differ[0] * differ[1])


def _spearman(counts: Counts, x: NDArray, y: NDArray) -> Floats:
    """Correlation of the mid-ranks."""
    middle = (counts.sum(1, keepdims=True) + 1) / 2
    a, b = (_mid_ranks(counts, values) - middle for values in (x, y))
    with np.errstate(invalid="ignore"):
        return (counts * a * b).sum(1) / np.sqrt((counts * a * a).sum(1) * (counts * b * b).sum(1))


def _equal_worth(places: int) -> Floats:
    """The worth of the first places for a mean over them."""
    return np.full(places, 1 / places)


def _best(counts: Counts, by: NDArray, values: Floats, worth: Floats) -> Floats:
    """Sum of the values in descending order of `by`, each times the worth of its place; equal ones share theirs.

    Args:
        worth: of each place from the first on; places beyond are worth nothing.
    """
    index, sizes = _groups(counts, -by)
    last = np.cumsum(sizes, axis=1)
    places = np.zeros(int(counts.sum(1).max()))
    places[: len(worth)] = worth[: len(places)]
    sums = np.concatenate([[0.0], np.cumsum(places)])
    mean_worth = (sums[last] - sums[last - sizes]) / np.maximum(sizes, 1)
    return (counts * values * mean_worth[:, index]).sum(1)
