"""Plots of a ranking: every proxy's scores against the accuracies, and the metrics as bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .errors import require
from .results import METRIC_NAMES, Ranking
from .tables import Column

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Told apart by the colour-blind (Okabe and Ito); a column each, from the start again when there are more."""


def plot_scores(ranking: Ranking, path: Path) -> None:
    """A panel for each proxy: the scores of the first seed against every column of accuracies (or of what there is)."""
    rows = -(-len(ranking.proxies) // 4)
    figure, axes = _figure(rows, min(4, len(ranking.proxies)), 3.2, 2.7)
    for axis, proxy in zip(axes, ranking.proxies):
        score = np.array([np.nan if value is None else value for value in ranking.scores[proxy][0]], dtype=float)
        for colour, column in zip(_colours(ranking), _drawn(ranking)):
            axis.scatter(score, column.labels, s=6, alpha=0.5, linewidths=0, color=colour, label=column.name)
        valid = score[np.isfinite(score)]
        if len(valid) and valid.min() > 0 and valid.max() > 1000 * valid.min():
            axis.set_xscale("log")
        axis.set_title(proxy, fontsize=9)
        axis.tick_params(labelsize=7)
    for axis in axes[len(ranking.proxies) :]:
        axis.set_visible(False)
    axes[0].set_ylabel("accuracy, %" if _drawn(ranking)[0].percent else "label", fontsize=8)
    _legend(figure, axes[0])
    figure.savefig(path, dpi=150)


def plot_metrics(ranking: Ranking, path: Path) -> None:
    """A panel for each metric: a bar for each proxy and column, with its interval."""
    columns = [column.name for column in ranking.table.columns]
    height = 1.2 + 0.14 * len(ranking.proxies) * (1 + len(columns))
    figure, axes = _figure(2, -(-len(METRIC_NAMES) // 2), 4.2, height)
    places = np.arange(len(ranking.proxies))
    bar = 0.8 / len(columns)
    for axis, name in zip(axes, METRIC_NAMES):
        for i, (colour, column) in enumerate(zip(_colours(ranking), columns)):
            found = [ranking.result(proxy, column) for proxy in ranking.proxies]
            values = np.array([getattr(r.metrics, name, None) for r in found], dtype=float)
            ends = np.array([getattr(r.intervals, name, None) or (np.nan, np.nan) for r in found]).T
            error = np.abs(ends - values)
            axis.barh(places + i * bar, values, bar, xerr=error, color=colour, label=column, error_kw={"lw": 0.8})
        axis.set_yticks(places + 0.4 - bar / 2, ranking.proxies, fontsize=8)
        axis.invert_yaxis()
        axis.set_title(METRIC_NAMES[name], fontsize=9)
        axis.grid(axis="x", lw=0.3)
    for i, axis in enumerate(axes):
        if i % (len(axes) // 2):
            axis.set_yticklabels([])
    _legend(figure, axes[0])
    figure.savefig(path, dpi=150)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure that no window or global state knows, and its panels."""
    figure = require("matplotlib.figure").Figure(figsize=(width * columns, height * rows + 0.4), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _legend(figure: Any, axis: Any) -> None:
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, markerscale=2)


def _drawn(ranking: Ranking) -> list[Column]:
    """The columns of accuracies; all columns where there is none."""
    columns = list(ranking.table.columns)
    return [column for column in columns if column.percent] or columns


def _colours(ranking: Ranking) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(ranking.table.columns))]
