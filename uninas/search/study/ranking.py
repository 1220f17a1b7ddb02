"""Candidates of a study by its objectives. Ranks follow from all measurements, so they are made when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...errors import StudyError
from ...units import format_shape
from ..measurement import State
from ..objective import DEFAULT_LATENCY, Objective, parse_objectives
from ..strategies.pareto import front
from ..table import Table
from .schema import Candidate


class Source(Protocol):
    """The part of a study that ranks are made of."""

    @property
    def settings(self) -> dict[str, Any]: ...

    def rows(self) -> Iterator[Candidate]: ...

    def all_measurements(
        self, phase: str | None = None
    ) -> Iterator[tuple[int, str, str, int, float | None, State]]: ...


@dataclass(frozen=True)
class Ranked:
    """A candidate with its value of each objective; higher is better."""

    candidate: Candidate
    scores: tuple[float, ...]


def objectives_of(settings: dict[str, Any], text: str | None = None) -> tuple[Objective, ...]:
    """The objectives that a text names, or those of a search's settings.

    Raises:
        StudyError: neither names one.
        ProxyError: one is not understood.
    """
    text = text or settings.get("objectives") or settings.get("proxy")
    if text is None:
        raise StudyError("the settings of this study name no objective; say what to rank by")
    bound = settings.get("max_latency") or settings.get("min_latency")
    return parse_objectives(text, format_shape(bound[1], (bound[2], bound[3])) if bound else DEFAULT_LATENCY)


def table_of(source: Source, objectives: Sequence[Objective]) -> tuple[Table, list[Candidate]]:
    """All measurements as columns, and the candidates of its rows."""
    table = Table(tuple(dict.fromkeys(name for o in objectives for name in (*o.measured, *o.latencies))))
    candidates = []
    for candidate in source.rows():
        candidates.append(candidate)
        table.add(candidate.id, candidate.params, candidate.macs)
        if candidate.refused is not None:
            table.exclude(candidate.id)
    # A search that goes on may have added candidates since.
    table.load(row for row in source.all_measurements() if row[0] < len(candidates))
    return table, candidates


def ranked(source: Source, objective: str | None = None, most: int | None = None) -> list[Ranked]:
    """The candidates with a score by one objective, best first, at most so many; of equal ones the earlier first."""
    return _complete(source, objectives_of(source.settings, objective)[:1], most)


def front_of(source: Source, text: str | None = None) -> list[Ranked]:
    """The candidates that nothing beats in all objectives, best by the first objective first."""
    objectives = objectives_of(source.settings, text)
    found = _complete(source, objectives)
    if not found:
        return []
    kept = front(np.array([row.scores for row in found]))
    return [row for row, keep in zip(found, kept) if keep]


def _complete(source: Source, objectives: Sequence[Objective], most: int | None = None) -> list[Ranked]:
    """The candidates that have a value of every objective."""
    table, candidates = table_of(source, objectives)
    if not candidates:
        return []
    columns = np.stack([objective.scores(table) for objective in objectives], axis=1)
    complete = np.flatnonzero(np.isfinite(columns).all(axis=1))
    order = complete[np.argsort(-columns[complete, 0], kind="stable")]
    return [Ranked(candidates[row], tuple(map(float, columns[row]))) for row in order[:most]]
