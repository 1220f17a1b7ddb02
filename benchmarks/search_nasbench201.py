"""Searches of the space `nasbench201` by a training-free aggregate, judged by trained accuracy.

    python benchmarks/search_nasbench201.py --table nb201_dev.csv --out runs/nb201      # goes on where it was ended

The table (columns `arch`, `c10_test_200`) only judges: the search never sees it. It holds a part of the space, so what
is judged of a search is what it chooses among those that the table holds. `random` is the same with networks
drawn at random, as many of them. first: how often the network that ranks first was in the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from pathlib import Path

from uninas.ranking.tables.nasbench201 import nasbench201
from uninas.search import SearchConfig, Study, search
from uninas.search.objective import Objective
from uninas.search.scoring import ProxyScorer
from uninas.search.study.ranking import table_of
from uninas.search.table import LEADERS

REPEATS = 4
"""New initialisations on which the best compete."""


def accuracies(path: Path) -> dict[str, float]:
    """CIFAR-10 test accuracy in percent by the key of the network."""
    found: dict[str, float] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            found[nasbench201(row["arch"]).key] = float(row["c10_test_200"])
    return found


def run(folder: Path, strategy: str, seed: int, args: argparse.Namespace) -> None:
    """One search, finished if it was not."""
    if (folder / "summary.json").exists():
        return
    resume = (folder / "study.sqlite").exists()
    plain = {"out": folder, "space": "nasbench201", "strategy": strategy, "seed": seed, "iterations": args.evaluations}
    scoring = {"proxy": args.proxy, "proxy_size": args.proxy_size, "proxy_batch": args.proxy_batch, "workers": 2}
    short = {
        "input_size": 32,
        "num_classes": 10,
        "max_repeats": 1,
        "fresh_repeats": 2,
        "leader_repeats": 2,
        "leaders": 1,
    }
    search(SearchConfig.parse({**plain, **scoring, **short, "tidy": False, "resume": resume}))


def judged(folder: Path, table: dict[str, float], leaders: int) -> tuple[float, int]:
    """Accuracy of the chosen network, and how many evaluated ones that rank higher the table does not hold.

    As at the end of every search, the best compete on initialisations that the search never used: here the best of
    those that the table holds, `leaders` of them.
    """
    settings = json.loads((folder / "summary.json").read_text())["settings"]
    study, objective = Study.open(folder), Objective.parse(settings["proxy"])
    ranked = study.best(10**6)
    held = [(place, row.candidate) for place, row in enumerate(ranked) if row.candidate.key in table][:leaders]
    columns, _ = table_of(study, (objective,))
    side = settings["proxy_size"]
    scorer = ProxyScorer((side, side), settings["proxy_batch"], settings["proxy_classes"], settings["seed"])
    for _, candidate in held:
        for repeat in range(REPEATS):
            for found in scorer.measure(study.genotype(candidate.id), LEADERS, repeat, objective.measured):
                columns.record(candidate.id, found.metric, LEADERS, repeat, found.value)
    best = max((c.id for _, c in held), key=lambda id: objective.by_repeat(columns, id, LEADERS).mean())
    return table[study.candidate(best).key], held[0][0]


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--proxy", default="vkdnw_agg")
    parser.add_argument("--proxy-size", default="16")
    parser.add_argument("--proxy-batch", type=int, default=16)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--leaders", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--strategies", nargs="+", default=["evolution", "random"])
    args = parser.parse_args()
    table, start = accuracies(args.table), time.monotonic()
    rows: dict[str, list[tuple[float, int]]] = {name: [] for name in args.strategies}
    for name in args.strategies:
        for seed in range(args.seeds):
            run(args.out / f"{name}-{seed}", name, seed, args)
            rows[name].append(judged(args.out / f"{name}-{seed}", table, args.leaders))
            print(f"{name}, seed {seed}: {rows[name][-1][0]:.2f}", flush=True)
    print(f"\n{'strategy':12}{'CIFAR-10':>10}{'sd':>7}{'worst':>8}{'first':>7}   ({time.monotonic() - start:.0f} s)")
    for name, found in rows.items():
        values = [accuracy for accuracy, _ in found]
        first = sum(place == 0 for _, place in found)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name:12}{statistics.fmean(values):10.2f}{spread:7.2f}{min(values):8.2f}{first:4}/{len(found)}")


if __name__ == "__main__":
    main()
