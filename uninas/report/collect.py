"""What a report shows of one or several studies, read without disturbing a search that writes them.

Candidates of all runs are rows of one table. Where all runs measured what the objectives of the first are made of,
these score all of them, and an aggregate of ranks means the same for all: it ranks a network among all networks of all
runs. Otherwise each run is scored by its own objective, among its own networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..errors import StudyError
from ..search.objective import Objective
from ..search.study import Candidate, Study, StudyReader, StudySummary
from ..search.study.ranking import objectives_of
from ..search.study.reader import kind_of
from ..search.summary import Summary
from ..search.table import LATENCY, PHASES, SEARCH, Table
from .trained import read_trained

SUMMARY = "summary.json"


@dataclass
class Run:
    """One study among those of a report."""

    study: StudyReader
    label: str
    first: int
    """Row of its candidate 0."""
    summary: StudySummary
    finished: Summary | None
    """What a search reports when it is done; None while it runs, and where it went on since."""
    state: dict[str, Any]
    candidates: list[Candidate]
    objectives: tuple[Objective, ...]
    """Its own; ranks of the report are by those of the first run."""

    @property
    def trail(self) -> list[int]:
        """Rows that a walk moved on to, in order; empty for other strategies."""
        return [self.first + number for number in (self.state.get("strategy") or {}).get("trail", [])]

    @property
    def begun(self) -> int:
        """Candidates that were there at the beginning."""
        return self.summary.at_the_beginning


@dataclass
class Report:
    """All rows of all runs."""

    runs: list[Run]
    objectives: tuple[Objective, ...]
    """Those of the first run."""
    common: bool
    """Whether all runs are scored by them."""
    table: Table
    """Costs of all rows."""
    scores: np.ndarray
    """n x objectives; NaN where a network has no score."""
    errors: np.ndarray
    """Standard error of the first objective over the repeats of the search; NaN for a single repeat."""
    metrics: dict[str, np.ndarray]
    """Mean over the repeats by metric, NaN where there is none; a latency in seconds."""
    failed: dict[int, str] = field(default_factory=dict)
    """Why a row has no score."""

    @property
    def rows(self) -> list[tuple[Run, Candidate]]:
        return [(run, candidate) for run in self.runs for candidate in run.candidates]

    def best(self, run: Run) -> int | None:
        """The row of a run's winner: the one of its summary, or, while it runs, that with the highest score."""
        if run.finished is not None:
            return run.first + run.finished.best.candidate
        return self._highest(run, len(run.candidates))

    def start(self, run: Run) -> int | None:
        """The row of the best start of a run."""
        if run.finished is not None:
            return run.first + run.finished.start.candidate
        return self._highest(run, max(run.state.get("starts", 1), 1))

    def _highest(self, run: Run, count: int) -> int | None:
        scores = self.scores[run.first : run.first + count, 0]
        return run.first + int(np.nanargmax(scores)) if np.isfinite(scores).any() else None

    def close(self) -> None:
        for run in self.runs:
            run.study.close()


def collect(folders: Sequence[str | Path], trained: Path | None = None) -> Report:
    """Reads studies.

    Args:
        trained: a CSV file with a column `key` (the first digits do) and columns of numbers, such as accuracies of
            trained networks; the means of rows with equal keys become metrics.

    Raises:
        StudyError: a folder holds no study or is named twice, or `trained` cannot be read.
    """
    runs: list[Run] = []
    try:
        for folder, label in zip(folders, labels([Path(folder) for folder in folders])):
            runs.append(_open(Path(folder), label, sum(len(run.candidates) for run in runs)))
        return _tabulate(runs, trained)
    except BaseException:
        for run in runs:
            run.study.close()
        raise


def labels(folders: Sequence[Path]) -> list[str]:
    """A short name for each folder: its last parts, as many as are needed to tell them apart.

    Raises:
        StudyError: a folder is named twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    for folder, part in zip(folders, parts):
        if parts.count(part) > 1:
            raise StudyError(f"{folder}: is named twice; name each run once")
    counts = range(1, max(map(len, parts)) + 1)
    names = (["/".join(part[-count:]) for part in parts] for count in counts)
    return next(found for found in names if len(set(found)) == len(found))


def _open(folder: Path, label: str, first: int) -> Run:
    study = Study.open(folder)
    # In this order: what a search adds meanwhile is in the counts, and not among the candidates that are shown.
    candidates = study.candidates()
    state = study.meta("state") or {}
    summary = study.summary()
    return Run(
        study=study,
        label=label,
        first=first,
        summary=summary,
        finished=_finished(study.folder / SUMMARY, summary, len(candidates)),
        state=state,
        candidates=candidates,
        objectives=objectives_of(summary.settings),
    )


def _finished(path: Path, summary: StudySummary, candidates: int) -> Summary | None:
    """The summary beside a study, if it is of what the study holds now."""
    try:
        found = Summary.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError) as error:
        remedy = "move it away, or let `uninas search --resume` write it anew"
        reason = getattr(error, "strerror", None) or "it is damaged, or not of a search"
        raise StudyError(f"{path}: cannot be read: {reason}; {remedy}") from None
    current = found.evaluated == summary.evaluated and not summary.waiting
    return found if current and found.best.candidate < candidates else None


def _tabulate(runs: list[Run], trained: Path | None) -> Report:
    values: dict[str, dict[int, list[float]]] = {}
    rows: list[list[tuple]] = []
    for run in runs:
        rows.append([row for row in run.study.all_measurements() if row[0] < len(run.candidates)])
        for number, metric, phase, _, value, _ in rows[-1]:
            if value is not None and (phase in (SEARCH, LATENCY) or phase not in PHASES):
                name = metric if phase in (SEARCH, LATENCY) else f"{metric} ({phase})"
                values.setdefault(name, {}).setdefault(run.first + number, []).append(value)
    objectives = runs[0].objectives
    measured = [{row[1] for row in found} for found in rows]
    common = all(_needed(objectives) <= found for found in measured)
    table = _table(runs, rows, objectives)
    if common:
        scores = np.stack([objective.scores(table) for objective in objectives], axis=1)
        errors = _errors(objectives[0], table, scores[:, 0])
    else:
        own = [_table([run], [found], run.objectives[:1], run.first) for run, found in zip(runs, rows)]
        parts = [run.objectives[0].scores(part) for run, part in zip(runs, own)]
        scores = np.concatenate(parts)[:, None]
        found = [_errors(run.objectives[0], *part) for run, part in zip(runs, zip(own, parts))]
        errors = np.concatenate(found)
    scores[~np.isfinite(scores)] = np.nan
    report = Report(runs, objectives, common, table, scores, errors, {})
    for name, found in values.items():
        report.metrics[name] = _column(found, table.count)
    if trained is not None:
        report.metrics |= read_trained(trained, [candidate.key for _, candidate in report.rows])
    for run in runs:
        for failure in run.study.failures():
            if failure.phase == SEARCH and failure.candidate < len(run.candidates):
                report.failed.setdefault(run.first + failure.candidate, f"{failure.metric}: {kind_of(failure)}")
        for candidate in run.candidates:
            if candidate.refused is not None:
                report.failed[run.first + candidate.id] = f"refused: {candidate.refused}"
    return report


def _needed(objectives: Sequence[Objective]) -> set[str]:
    """What has to be measured."""
    return {name for objective in objectives for name in (*objective.measured, *objective.latencies)}


def _table(runs: Sequence[Run], rows: Sequence[list[tuple]], objectives: Sequence[Objective], first: int = 0) -> Table:
    """All measurements of runs, in rows from `first` on."""
    table = Table(sorted(_needed(objectives)))
    for run, found in zip(runs, rows):
        for candidate in run.candidates:
            table.add(run.first - first + candidate.id, candidate.params, candidate.macs)
            if candidate.refused is not None:
                table.exclude(run.first - first + candidate.id)
        for number, metric, phase, repeat, value, _ in found:
            table.record(run.first - first + number, metric, phase, repeat, value)
    table.load(iter(()))  # ranks what is there
    return table


def _column(found: dict[int, list[float]], count: int) -> np.ndarray:
    column = np.full(count, np.nan)
    for row, numbers in found.items():
        column[row] = math.fsum(numbers) / len(numbers)
    return column


def _errors(objective: Objective, table: Table, scores: np.ndarray) -> np.ndarray:
    errors = np.full(len(scores), np.nan)
    for row in map(int, np.flatnonzero(np.isfinite(scores))):
        if table.repeats(row) > 1:
            repeats = objective.by_repeat(table, row)
            repeats = repeats[np.isfinite(repeats)]
            if len(repeats) > 1:
                errors[row] = repeats.std(ddof=1) / math.sqrt(len(repeats))
    return errors
