"""Which cheap signals make a better aggregate: members chosen on some architectures and data sets, judged on others.

    python tools/rank.py --table TABLE.csv --limit 1000 --out runs/rank --proxies complexity,macs,jacov,...
    python benchmarks/aggregate_study.py runs/rank/scores.csv

Every set of `--sizes` members is summed by log-rank, unweighted: the choice of members is all that accuracies decide.
In each round of the cross-validation the set with the highest mean Kendall is chosen on four fifths of the
architectures and all data sets but one, and judged on the last fifth and the data set that is left. Leads are over
`--baseline`; `uninas_agg` is judged on the same folds, though its members were chosen with all of the table in sight.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uninas.benchmark.bootstrap import difference
from uninas.benchmark.metrics import metrics
from uninas.proxies import parse
from uninas.proxies.aggregate import AGGREGATES, LogRank, Row

Floats = NDArray[np.float64]


def read(file: Path, members: Sequence[str]) -> tuple[list[Row], dict[str, Floats]]:
    """The members' values of each network, and the accuracies by data set, of a file that tools/rank.py wrote."""
    with file.open() as text:
        rows = list(csv.DictReader(text))
    header = list(rows[0])
    if missing := set(members) - set(header):
        sys.exit(f"{file} has no column {', '.join(sorted(missing))}: run tools/rank.py again with these --proxies too")
    columns = header[2 : header.index("seed")]
    values: list[Row] = [{name: float(row[name]) if row[name] else None for name in members} for row in rows]
    return values, {name: np.array([float(row[name]) for row in rows]) for name in columns}


class Fold:
    """Some of the networks, on which many sets of members are compared."""

    def __init__(self, rows: Sequence[Row], accuracies: dict[str, Floats]) -> None:
        self.rows = rows
        self._above, self._below = np.triu_indices(len(rows), 1)
        self._order = {name: self._signs(values) for name, values in accuracies.items()}
        self._logs: dict[str, Floats] = {}

    def _signs(self, values: Floats) -> NDArray[np.float32]:
        return np.sign(values[self._above] - values[self._below]).astype(np.float32)

    def kendall(self, members: Sequence[str]) -> dict[str, float]:
        """Of the aggregate on each data set; tau-a, as sums of logarithms and accuracies have next to no ties."""
        for name in members:
            if name not in self._logs:
                self._logs[name] = LogRank(name, (name,))(self.rows)
        signs = self._signs(np.sum([self._logs[name] for name in members], axis=0))
        return {name: float(signs @ order) / len(signs) for name, order in self._order.items()}


def cross_validate(
    rows: Sequence[Row], accuracies: dict[str, Floats], candidates: Sequence[tuple[str, ...]], folds: int, baseline: str
) -> None:
    """Prints the leads on what no choice has seen, and what was chosen."""
    fold_of = np.random.default_rng(0).permutation(len(rows)) % folds
    chosen: Counter[tuple[str, ...]] = Counter()
    leads: dict[str, list[float]] = {}
    ours: dict[str, list[float]] = {}
    base = AGGREGATES[baseline].proxies

    def part(where: NDArray[np.bool_]) -> Fold:
        found = np.flatnonzero(where)
        return Fold([rows[i] for i in found.tolist()], {name: values[found] for name, values in accuracies.items()})

    for k in range(folds):
        seen, unseen = part(fold_of != k), part(fold_of == k)
        table = [(members, seen.kendall(members)) for members in candidates]
        reference, own = unseen.kendall(base), unseen.kendall(AGGREGATES["uninas_agg"].proxies)
        for left in accuracies:
            best = max(table, key=lambda row: sum(value for name, value in row[1].items() if name != left))[0]
            chosen[best] += 1
            leads.setdefault(left, []).append(unseen.kendall(best)[left] - reference[left])
            ours.setdefault(left, []).append(own[left] - reference[left])
    print(f"\n{folds} folds of architectures x {len(accuracies)} data sets left out; lead over {baseline} in Kendall")
    for what, found in (("chosen anew", leads), ("uninas_agg", ours)):
        for left, values in found.items():
            error = np.std(values, ddof=1) / np.sqrt(len(values))
            print(f"  {what:12} {left:16} {np.mean(values):+.4f} +- {error:.4f}")
    print("chosen sets:")
    for members, times in chosen.most_common():
        print(f"  {times:3} x {', '.join(members)}")


def report(rows: Sequence[Row], accuracies: dict[str, Floats], names: Sequence[str], baseline: str) -> None:
    """Prints the metrics of aggregates and members on all networks, with paired bootstrap intervals of the leads."""
    print(f"{len(rows)} networks; Kendall, and its lead over {baseline} with a 95 % interval")
    reference = AGGREGATES[baseline](rows)
    for name in names:
        scores, cells = parse(name)(rows), []
        for acc in accuracies.values():
            cell = f"{metrics(acc, scores).kendall:6.3f}"
            if name != baseline:
                low, high = difference(acc, [scores], [reference], np.random.default_rng(0)).kendall
                cell += f" {low:+.3f} .. {high:+.3f}"
            cells.append(f"{cell:26}")
        print(f"  {name:44}", *cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path, help="scores.csv of tools/rank.py")
    parser.add_argument(
        "--members", nargs="+", help="signals to choose from",
        default=["params", "macs", "trainable_layers", "vkdnw_single", "expressivity", "progressivity", "trainability",
                 "jacov", "naswot", "zico", "synflow", "snip", "gradnorm", "zen"],
    )  # fmt: skip
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 4, 5, 6, 7])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--baseline", default="vkdnw_agg", choices=AGGREGATES)
    arguments = parser.parse_args()
    needed = {name for aggregate in AGGREGATES.values() for name in aggregate.proxies}
    rows, accuracies = read(arguments.scores, sorted(needed | set(arguments.members)))
    names = [*AGGREGATES, "logrank(jacov, params)", *arguments.members]
    names.remove(arguments.baseline)
    report(rows, accuracies, [arguments.baseline, *names], arguments.baseline)
    candidates = [c for size in arguments.sizes for c in itertools.combinations(arguments.members, size)]
    whole = Fold(rows, accuracies)
    best = sorted(candidates, key=lambda members: -sum(whole.kendall(members).values()))[:10]
    print(f"\nthe best of {len(candidates)} sets on all networks, in sight of their accuracies")
    for members in best:
        print("  ", *(f"{value:.3f}" for value in whole.kendall(members).values()), ", ".join(members))
    cross_validate(rows, accuracies, candidates, arguments.folds, arguments.baseline)


if __name__ == "__main__":
    main()
