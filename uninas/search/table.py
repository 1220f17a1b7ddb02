"""What is known of all evaluated networks, as columns in memory: a row for each candidate, a block of columns a metric.

A rank changes whenever a network is added, so ranks are kept up to date here and never stored: adding a value is one
comparison with the whole column, asking for ranks costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from .measurement import State

T = TypeVar("T")
SEARCH, LEADERS, FRESH, LATENCY = "search", "leaders", "fresh", "latency"
"""Phases: what the search decides by; the competition of the best; the last word, on seeds that no decision has seen;
and seconds a forward pass, which have no seed."""
PHASES = (SEARCH, LEADERS, FRESH, LATENCY)

COST_METRICS = {"params": "params", "macs": "macs", "complexity": "macs"}
"""Metrics that are counted, not measured, and the cost that they are: exact, at the input size of the limits."""


def latency_metric(shape: str) -> str:
    """The metric of the latency for an input such as `1x224`."""
    return f"{LATENCY}@{shape}"


class Ranks:
    """A column of values with the rank of each, from 1 (lowest) to n; equal values share the mean of their ranks."""

    def __init__(self) -> None:
        self.values = np.full(0, np.nan)  # by candidate; NaN for one that is not ranked
        self._below = np.zeros(0)  # ranked values that are lower
        self._equal = np.zeros(0)  # ranked values that are equal, itself among them
        self.count = 0

    def put(self, row: int, value: float | None) -> None:
        """Gives a row a value, another value, or none."""
        if row >= len(self.values):
            self._grow(row + 1)
        old = self.values[row]
        if not np.isnan(old):
            self.values[row] = np.nan
            self._below[self.values > old] -= 1
            self._equal[self.values == old] -= 1
            self.count -= 1
        if value is not None:
            self._below[self.values > value] += 1
            equal = self.values == value
            self._equal[equal] += 1
            self._equal[row] = np.count_nonzero(equal) + 1
            self._below[row] = np.count_nonzero(self.values < value)
            self.values[row] = value
            self.count += 1

    def ranks(self, rows: Sequence[int] | np.ndarray | slice = slice(None)) -> np.ndarray:
        """The ranks of rows; NaN for those that are not ranked."""
        ranks = self._below[rows] + (self._equal[rows] + 1) / 2
        return np.where(np.isnan(self.values[rows]), np.nan, ranks)

    def rank_of(self, value: float) -> float:
        """The rank of a value that is not in the column: from 1/2, below all, to n + 1/2, above all."""
        return float(np.count_nonzero(self.values < value) + np.count_nonzero(self.values == value) / 2 + 0.5)

    def fill(self, values: np.ndarray) -> None:
        """Replaces the whole column, faster than value by value."""
        self.values = values.astype(float)
        ranked = np.flatnonzero(~np.isnan(self.values))
        ordered = np.sort(self.values[ranked])
        self._below, self._equal = np.zeros(len(values)), np.zeros(len(values))
        self._below[ranked] = np.searchsorted(ordered, self.values[ranked], side="left")
        self._equal[ranked] = np.searchsorted(ordered, self.values[ranked], side="right") - self._below[ranked]
        self.count = len(ranked)

    def _grow(self, rows: int) -> None:
        more = max(rows, 2 * len(self.values), 64) - len(self.values)
        self.values = np.concatenate([self.values, np.full(more, np.nan)])
        self._below = np.concatenate([self._below, np.zeros(more)])
        self._equal = np.concatenate([self._equal, np.zeros(more)])


class Column:
    """All that was measured of one metric in one phase: by candidate and repeat."""

    def __init__(self) -> None:
        self.values = np.full((0, 1), np.nan)
        self.missed = np.zeros(0, dtype=bool)
        """Whether any repeat of a candidate has no value."""

    def put(self, row: int, repeat: int, value: float | None) -> None:
        """A measurement; None for one without a value."""
        rows, repeats = self.values.shape
        if row >= rows or repeat >= repeats:
            grown = np.full((max(row + 1, 2 * rows if row >= rows else rows, 64), max(repeat + 1, repeats)), np.nan)
            grown[:rows, :repeats] = self.values
            self.values = grown
            self.missed = np.concatenate([self.missed, np.zeros(len(grown) - rows, dtype=bool)])
        if value is None:
            self.missed[row] = True
        else:
            self.values[row, repeat] = value

    def of(self, row: int) -> np.ndarray:
        """The values of a candidate by repeat; NaN where there is none."""
        return self.values[row] if row < len(self.values) else self.values[:0].reshape(-1)

    def mean(self, row: int) -> float | None:
        """Mean over the repeats; None when there is none, or when one of them has no value."""
        if row >= len(self.values) or self.missed[row]:
            return None
        found = self.values[row]
        found = found[~np.isnan(found)]
        return float(found.mean()) if len(found) else None

    def means(self, rows: int) -> np.ndarray:
        """`mean` of the first `rows` candidates; NaN where there is none."""
        result = np.full(rows, np.nan)
        known = ~np.isnan(self.values[:rows])
        counts = known.sum(axis=1)
        usable = (counts > 0) & ~self.missed[:rows]
        sums = np.where(known, self.values[:rows], 0.0).sum(axis=1)
        result[: len(usable)][usable] = sums[usable] / counts[usable]
        return result


class Table:
    """The columns of a study.

    Args:
        metrics: what a complete candidate has in the phase "search". Only complete candidates are ranked: one that
            failed in any metric takes no part.
    """

    def __init__(self, metrics: Sequence[str] = ()) -> None:
        self.metrics = tuple(metrics)
        self._columns: dict[tuple[str, str], Column] = {}
        self._ranks: dict[str, Ranks] = {}
        self._costs = {name: np.zeros(0, dtype=np.int64) for name in ("params", "macs")}
        self._out = np.zeros(0, dtype=bool)
        self._cache: dict[Hashable, tuple[int, Any]] = {}
        self._version = 0  # counts whatever may have changed a rank
        self.count = 0
        """Candidates."""

    def add(self, row: int, params: int, macs: int) -> None:
        """A candidate, with what it costs."""
        self._reserve(row + 1)
        self._costs["params"][row], self._costs["macs"][row] = params, macs
        self.count = max(self.count, row + 1)
        if not self.metrics:  # nothing has to be measured before it is ranked
            self._rank(row)

    def _reserve(self, rows: int) -> None:
        if rows > len(self._out):
            more = max(rows, 2 * len(self._out), 64) - len(self._out)
            self._costs = {name: np.concatenate([c, np.zeros(more, c.dtype)]) for name, c in self._costs.items()}
            self._out = np.concatenate([self._out, np.zeros(more, dtype=bool)])

    def exclude(self, row: int) -> None:
        """Takes a candidate out of all ranks (it is over a limit that is measured)."""
        self._out[row] = True
        self._rank(row)

    def record(self, row: int, metric: str, phase: str, repeat: int, value: float | None) -> None:
        """A measurement; None for one without a value."""
        place = (metric, phase)
        if place not in self._columns:
            self._columns[place] = Column()
        self._columns[place].put(row, repeat, value)

    def measured(self, row: int, phase: str = SEARCH) -> None:
        """To be called when all metrics of a repeat are recorded: the candidate is ranked anew."""
        if phase == SEARCH:
            self._rank(row)

    def load(self, measurements: Iterator[tuple[int, str, str, int, float | None, State]]) -> None:
        """All measurements of a study at once: (candidate, metric, phase, repeat, value, state)."""
        for row, metric, phase, repeat, value, _ in measurements:
            self.record(row, metric, phase, repeat, value)
        complete = self._complete()
        self._version += 1
        for name in self._names():
            values = self.column_of(name)
            self._ranks.setdefault(name, Ranks()).fill(np.where(complete, values, np.nan))

    def _names(self) -> list[str]:
        return list(dict.fromkeys([*self.metrics, *COST_METRICS]))

    def _complete(self) -> np.ndarray:
        complete = ~self._out[: self.count]
        for metric in self.metrics:
            complete &= ~np.isnan(self.column_of(metric))
        return complete

    def is_complete(self, row: int) -> bool:
        """Whether a candidate has a value of every metric and no failure in the phase "search"."""
        return not self._out[row] and all(self.mean(row, metric) is not None for metric in self.metrics)

    def _rank(self, row: int) -> None:
        complete = self.is_complete(row)
        self._version += 1
        for name in self._names():
            self.ranks(name).put(row, self.mean(row, name) if complete else None)

    def ranks(self, metric: str) -> Ranks:
        """The ranks of complete candidates by one metric's mean."""
        if metric not in self._ranks:
            self._ranks[metric] = Ranks()
        return self._ranks[metric]

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes of the ranks; made anew when they have changed."""
        if key not in self._cache or self._cache[key][0] != self._version:
            self._cache[key] = (self._version, make())
        return self._cache[key][1]

    def mean(self, row: int, metric: str, phase: str = SEARCH) -> float | None:
        """Mean over the repeats of a phase, or the cost; None where there is none or one repeat has no value."""
        if metric in COST_METRICS:
            return float(self._costs[COST_METRICS[metric]][row])
        column = self._columns.get((metric, LATENCY if metric.startswith(LATENCY) else phase))
        return column.mean(row) if column else None

    def values(self, row: int, metric: str, phase: str = SEARCH) -> np.ndarray:
        """The values of a phase by repeat; NaN where there is none. A cost is the same in every repeat."""
        if metric in COST_METRICS or metric.startswith(LATENCY):
            mean = self.mean(row, metric)
            return np.full(max(self.repeats(row, phase), 1), np.nan if mean is None else mean)
        column = self._columns.get((metric, phase))
        return column.of(row) if column else np.full(0, np.nan)

    def repeats(self, row: int, phase: str = SEARCH) -> int:
        """Repeats of a phase of which every metric has a value."""
        found = [self._columns.get((metric, phase)) for metric in self.metrics if not metric.startswith(LATENCY)]
        return min((int((~np.isnan(c.of(row))).sum()) if c else 0 for c in found), default=1)

    def column_of(self, metric: str, phase: str = SEARCH) -> np.ndarray:
        """`mean` of all candidates; NaN where there is none."""
        if metric in COST_METRICS:
            return self._costs[COST_METRICS[metric]][: self.count].astype(float)
        column = self._columns.get((metric, LATENCY if metric.startswith(LATENCY) else phase))
        return column.means(self.count) if column else np.full(self.count, np.nan)

    def cost(self, row: int) -> tuple[int, int]:
        """Parameters and MACs of a candidate."""
        return int(self._costs["params"][row]), int(self._costs["macs"][row])
