"""What became of moves, and how scores agree."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from .collect import Report, Run


def moves_of(report: Report, run: Run) -> list[dict[str, Any]]:
    """What became of each move, most tried first.

    A candidate made by several moves in a row counts for each of them. `kept` counts candidates that the search went on
    from: a walk moved there, another strategy made children of it. A space's moves that were never tried are there too.
    """
    trail = set(run.trail)
    parents = {candidate.parent for candidate in run.candidates}
    found: dict[str, Counter] = {}
    leads: dict[str, list[float]] = {}
    for candidate in run.candidates[run.begun :]:
        row = run.first + candidate.id
        score = report.scores[row, 0]
        parent = math.nan if candidate.parent is None else report.scores[run.first + candidate.parent, 0]
        for move in dict.fromkeys((candidate.move or "drawn from scratch").split(" + ")):
            counts = found.setdefault(move, Counter())
            counts["tried"] += 1
            counts["failed"] += row in report.failed
            counts["better"] += bool(score > parent)
            counts["kept"] += row in trail if trail else candidate.id in parents
            if math.isfinite(score - parent):
                leads.setdefault(move, []).append(float(score - parent))
    space = run.summary.settings.get("space")
    for move in (space.get("moves") or {}) if isinstance(space, dict) else {}:
        found.setdefault(move, Counter())
    return [
        {"move": move, **{what: counts[what] for what in ("tried", "better", "kept", "failed")}}
        | {"lead": float(np.median(leads[move])) if move in leads else None}
        for move, counts in sorted(found.items(), key=lambda item: (-item[1]["tried"], item[0]))
    ]


def correlations(report: Report) -> tuple[list[str], list[list[float | None]]]:
    """Names of scores, costs and metrics, and Spearman's rank correlation of each two over networks that have both."""
    columns = {"score": report.scores[:, 0], "params": report.table.column_of("params")}
    columns["MACs"] = report.table.column_of("macs")
    columns |= report.metrics
    names = list(columns)
    matrix = [[_spearman(columns[a], columns[b]) for b in names] for a in names]
    return names, matrix


def _spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3:
        return None
    x, y = _ranks(a[both]), _ranks(b[both])
    spread = x.std() * y.std()
    return float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
