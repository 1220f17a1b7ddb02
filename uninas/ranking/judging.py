"""Scores against all columns of a table: metrics with intervals, leads over references, and the noise ceiling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .bootstrap import Draws, Intervals, Judged
from .errors import RankingError
from .labels import Floats, Labels, Scores
from .metrics import Metrics
from .tables import Column, Table

Progress = Callable[[int, int], None]
"""Called with how much is done, and how much there is, before the first and after each."""

RESAMPLES = 1000
SECOND = "a second training"
"""The second training of the networks that have one, as a score for the first: what training with other random numbers
leaves of an order, which no score of the architecture alone can be expected to beat."""


@dataclass(frozen=True)
class Result:
    """How one signal ranks the networks by one column of a table.

    Attributes:
        proxy: name of the proxy, aggregate or baseline.
        column: of the table.
        networks: how many have a label in it.
        metrics: means over the seeds; None where the ranking is undefined.
        intervals: 95 % bootstrap intervals of the metrics.
        leads: for each reference but the signal itself, 95 % bootstrap intervals of how much higher each metric is than
            the reference's, on the same draws.
        failure: why there are no metrics.
    """

    proxy: str
    column: str
    networks: int
    metrics: Metrics | None = None
    intervals: Intervals | None = None
    leads: Mapping[str, Intervals] = field(default_factory=dict)
    failure: str | None = None


class Judge:
    """Judges scores of a table's networks.

    Args:
        table: N networks.
        sizes: for each measure of size, N values; None where one is unknown.
    """

    def __init__(self, table: Table, sizes: Sequence[Scores]) -> None:
        self.table = table
        self.sizes = np.array(sizes, dtype=np.float64).T  # None becomes NaN

    def results(
        self,
        scores: Mapping[str, Sequence[Sequence[float | None]]],
        references: Sequence[str],
        on_progress: Progress = lambda done, total: None,
    ) -> Iterator[Result]:
        """A result for each column and name; where networks were trained twice, one of the second training too.

        Args:
            scores: runs x N for each name, higher is better.
            references: the names that leads are over.
            on_progress: told of each name and column.
        """
        done, total = 0, len(scores) * len(self.table.columns)
        on_progress(done, total)
        for column in self.table.columns:
            rows = np.flatnonzero(np.isfinite(column.labels))
            try:
                draws = self._draws(column, column.labels, rows)
            except RankingError as error:
                yield from (Result(name, column.name, len(rows), failure=str(error)) for name in scores)
                done += len(scores)
                on_progress(done, total)
                continue
            found: dict[str, Judged | str] = {}
            for name, runs in scores.items():
                found[name] = _judged(draws, [[run[i] for i in rows.tolist()] for run in runs])
                done += 1
                on_progress(done, total)
            for name, judged in found.items():
                others = {reference: found[reference] for reference in references if reference != name}
                yield _result(name, column.name, draws, judged, others)
            yield from self._second(column)

    def _second(self, column: Column) -> Iterator[Result]:
        """The noise ceiling, on the networks that were trained twice, against their first training alone."""
        if column.trainings.shape[1] < 2:
            return
        rows = np.flatnonzero(np.isfinite(column.trainings[:, :2]).all(1))
        first, second = column.trainings[:, 0], column.trainings[rows, 1]
        try:
            draws = self._draws(column, first, rows)
        except RankingError as error:
            yield Result(SECOND, column.name, len(rows), failure=str(error))
            return
        judged = _judged(draws, [(second if column.higher_is_better else -second).tolist()])
        yield _result(SECOND, column.name, draws, judged, {})

    def _draws(self, column: Column, labels: Floats, rows: np.ndarray) -> Draws:
        families = self.table.families and tuple(self.table.families[i] for i in rows)
        found = Labels(labels[rows], column.higher_is_better, column.percent, self.sizes[rows], families)
        return Draws(found, np.random.default_rng(0), RESAMPLES)  # the same for every column: reruns give the same


def _judged(draws: Draws, runs: Sequence[Sequence[float | None]]) -> Judged | str:
    """The judgement, or why there is none."""
    try:
        return draws.judge(runs)
    except RankingError as error:
        return str(error)


def _result(
    name: str, column: str, draws: Draws, judged: Judged | str, references: Mapping[str, Judged | str]
) -> Result:
    size = len(draws.labels)
    if isinstance(judged, str):
        return Result(name, column, size, failure=judged)
    leads = {other: judged.lead(found) for other, found in references.items() if isinstance(found, Judged)}
    return Result(name, column, size, judged.metrics, judged.intervals(), leads)
