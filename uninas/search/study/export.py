"""A study as a table for other programs: CSV, a row a candidate."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import StudyError
from ...files import replacing
from .ranking import objectives_of, table_of
from .reader import StudyReader, kind_of

PHASES = ("search", "latency", "race")
"""Whose measurements are columns; a race names the protocol and its epochs in its metrics."""
COLUMNS = ("id", "key", "parent", "partner", "move", "ask", "origin", "params", "macs", "refused")
"""Those of a candidate; see `Candidate`. parent and partner are ids."""


def write_csv(study: StudyReader, path: Path, force: bool = False) -> int:
    """Writes a row a candidate and returns how many; `path` is there when it is complete.

    Columns: COLUMNS; each objective; mean and number of values of each metric of PHASES (a latency in seconds); and why
    values are missing.

    Raises:
        StudyError: the file is there and `force` is not set, or cannot be written.
    """
    if path.exists() and not force:
        raise StudyError(f"{path}: is there already; --force replaces it")
    count = -1  # the head is no candidate
    with replacing(path, StudyError) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for row in _rows(study):
            writer.writerow(row)
            count += 1
    return count


def _rows(study: StudyReader) -> Iterator[list[Any]]:
    """The head, then a row a candidate; an empty cell is no value."""
    objectives = objectives_of(study.settings)
    table, candidates = table_of(study, objectives)
    scores = [objective.scores(table) for objective in objectives]
    metrics = study.metrics(*PHASES)
    values: dict[tuple[int, str], list[float]] = {}
    for phase in PHASES:
        for candidate, metric, _, _, value, _ in study.all_measurements(phase):
            if value is not None:
                values.setdefault((candidate, metric), []).append(value)
    failures: dict[int, dict[str, None]] = {}
    for row in study.failures():
        failures.setdefault(row.candidate, {})[f"{row.metric}: {kind_of(row)}"] = None
    head = [cell for metric in metrics for cell in (metric, f"{metric} repeats")]
    yield [*COLUMNS, *(f"objective {objective.name}" for objective in objectives), *head, "failures"]
    for candidate in candidates:
        cells: list[Any] = [getattr(candidate, column) for column in COLUMNS]
        cells += [score if math.isfinite(score := float(column[candidate.id])) else None for column in scores]
        for metric in metrics:
            found = values.get((candidate.id, metric), [])
            cells += [math.fsum(found) / len(found) if found else None, len(found)]
        yield [*cells, "; ".join(failures.get(candidate.id, ()))]
