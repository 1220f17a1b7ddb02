"""What a ranking found, as data and files."""

from __future__ import annotations

import csv
import io
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files import replacing
from .errors import RankingError
from .halves import half_of
from .judging import Result
from .tables import Table

METRIC_NAMES = {
    "kendall": "Kendall tau-b",
    "spearman": "Spearman",
    "ndcg": "nDCG",
    "given_size": "tau given size",
    "within_family": "tau in a family",
    "top": "top 5 %",
}
RESULT_FILES = ("scores.csv", "metrics.json", "scores.png", "metrics.png")


@dataclass(frozen=True)
class Ranking:
    """How proxies rank N networks.

    Attributes:
        proxies: proxies, aggregates and baselines, in the order in which they were asked for.
        baselines: which of these say nothing of what a network does, "a second training" included.
        references: what leads are over.
        table: the N networks and what their training achieved.
        keys: N, equal for architectures that are the same network, which is scored once.
        half: that the networks are of; None for both.
        scores: seeds x N for each proxy; None where it failed.
        failures: for each proxy that failed, each reason and how often.
        seconds: mean time of a score; aggregates take none of their own.
        skipped: networks of the table that are not among the N, and why.
        results: one for each proxy and column.
        setting: that networks were scored in.
    """

    proxies: tuple[str, ...]
    baselines: tuple[str, ...]
    references: tuple[str, ...]
    table: Table
    keys: tuple[str, ...]
    half: str | None
    seeds: tuple[int, ...]
    scores: dict[str, list[list[float | None]]]
    failures: dict[str, dict[str, int]]
    seconds: dict[str, float]
    skipped: dict[str, str]
    results: tuple[Result, ...]
    setting: dict[str, Any]

    def result(self, proxy: str, column: str) -> Result:
        """The result of a proxy on a column."""
        return next(r for r in self.results if (r.proxy, r.column) == (proxy, column))

    def to_json(self) -> dict[str, Any]:
        """Everything but the single scores, as JSON data."""
        return {
            "networks": len(self.keys),
            "distinct_networks": len(set(self.keys)),
            "half": self.half,
            "seeds": list(self.seeds),
            "setting": self.setting,
            "references": list(self.references),
            "results": [{**asdict(result), "baseline": result.proxy in self.baselines} for result in self.results],
            "seconds": self.seconds,
            "failures": self.failures,
            "skipped": self.skipped,
        }


def write(ranking: Ranking, folder: Path) -> list[Path]:
    """Writes RESULT_FILES, each through a temporary name. Raises RankingError where one cannot be written."""
    from .plots import plot_metrics, plot_scores

    paths = [folder / name for name in RESULT_FILES]
    with ExitStack() as stack:
        drafts = [stack.enter_context(replacing(path, RankingError)) for path in paths]
        drafts[0].write_text(_csv(ranking), encoding="utf-8")
        drafts[1].write_text(json.dumps(ranking.to_json(), indent=1) + "\n", encoding="utf-8")
        plot_scores(ranking, drafts[2])
        plot_metrics(ranking, drafts[3])
    return paths


def _csv(ranking: Ranking) -> str:
    """One line for each network and seed; an empty field where a proxy failed or a label is not there."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = ranking.table.columns
    writer.writerow(["network", "key", "half", *(column.name for column in columns), "seed", *ranking.proxies])
    labels = [column.labels for column in columns]
    for run, seed in enumerate(ranking.seeds):
        for i, (name, key) in enumerate(zip(ranking.table.names, ranking.keys)):
            known = [float(column[i]) if column[i] == column[i] else None for column in labels]
            scores = [ranking.scores[proxy][run][i] for proxy in ranking.proxies]
            writer.writerow([name, key, half_of(key), *known, seed, *scores])
    return file.getvalue()
