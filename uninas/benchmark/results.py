"""What a ranking found, as data, text and files."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bootstrap import Intervals
from .metrics import Metrics

METRIC_NAMES = {"kendall": "Kendall tau-b", "spearman": "Spearman", "ndcg": "nDCG"}
RESULT_FILES = ("scores.csv", "metrics.json", "scores.png", "metrics.png")


@dataclass(frozen=True)
class Result:
    """How one proxy ranks the networks by one column of accuracies."""

    proxy: str
    column: str
    metrics: Metrics | None
    """Means over the seeds; None where the ranking is undefined."""
    intervals: Intervals | None
    failure: str | None
    """Why there are no metrics."""


@dataclass(frozen=True)
class Ranking:
    """How proxies rank N networks."""

    proxies: tuple[str, ...]
    """Proxies and aggregates, as asked for."""
    archs: tuple[str, ...]
    keys: tuple[str, ...]
    """Of the genotypes: equal for architectures that are the same network, which is scored once."""
    accuracies: dict[str, NDArray[np.float64]]
    """N percentages for each column."""
    seeds: tuple[int, ...]
    scores: dict[str, list[list[float | None]]]
    """seeds x N for each proxy; None where it failed."""
    failures: dict[str, dict[str, int]]
    """For each proxy that failed, each reason and how often."""
    seconds: dict[str, float]
    """Mean time of a score; aggregates take none of their own."""
    skipped: dict[str, str]
    """Architectures of the table that have no network, and why."""
    results: tuple[Result, ...]
    setting: dict[str, Any]

    def result(self, proxy: str, column: str) -> Result:
        """The result of a proxy on a column."""
        return next(r for r in self.results if (r.proxy, r.column) == (proxy, column))

    def to_json(self) -> dict[str, Any]:
        """Everything but the single scores, as JSON data."""
        return {
            "networks": len(self.archs),
            "distinct_networks": len(set(self.keys)),
            "seeds": list(self.seeds),
            "setting": self.setting,
            "results": [
                {
                    "proxy": r.proxy,
                    "column": r.column,
                    "metrics": vars(r.metrics) if r.metrics else None,
                    "intervals": vars(r.intervals) if r.intervals else None,
                    "failure": r.failure,
                }
                for r in self.results
            ],
            "seconds": self.seconds,
            "failures": self.failures,
            "skipped": self.skipped,
        }


def write(ranking: Ranking, folder: Path) -> list[Path]:
    """Writes RESULT_FILES, each through a temporary name."""
    from .plots import plot_metrics, plot_scores

    paths = [folder / name for name in RESULT_FILES]
    drafts = [path.with_name(f"draft.{path.name}") for path in paths]
    drafts[0].write_text(_csv(ranking), encoding="utf-8")
    drafts[1].write_text(json.dumps(ranking.to_json(), indent=1) + "\n", encoding="utf-8")
    plot_scores(ranking, drafts[2])
    plot_metrics(ranking, drafts[3])
    for draft, path in zip(drafts, paths):
        os.replace(draft, path)
    return paths


def _csv(ranking: Ranking) -> str:
    """One line for each architecture and seed; an empty field where a proxy failed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["arch", "key", *ranking.accuracies, "seed", *ranking.proxies])
    for run, seed in enumerate(ranking.seeds):
        for i, (arch, key) in enumerate(zip(ranking.archs, ranking.keys)):
            accuracies = [float(column[i]) for column in ranking.accuracies.values()]
            scores = [ranking.scores[proxy][run][i] for proxy in ranking.proxies]
            writer.writerow([arch, key, *accuracies, seed, *scores])
    return file.getvalue()
