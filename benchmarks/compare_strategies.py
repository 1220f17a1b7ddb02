"""walk, evolution and random with equal evaluations in the space `uninas`, judged by ranks over the union.

    python benchmarks/compare_strategies.py --out runs/compare      # 5 seeds each; goes on where it was ended

All strategies of a seed see the same weights and images (scores depend on the seed of the run alone), so their networks
are one population: the aggregate is ranked anew over all that the strategies of that seed evaluated, and compared is
the best network of each. best: its value there (0 would be first in every member); top 10: the mean of the ten best.
wins: seeds in which the best is above that of `random`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from uninas.search import SearchConfig, Study, search
from uninas.search.objective import Objective
from uninas.search.table import SEARCH, Table


def run(folder: Path, strategy: str, seed: int, args: argparse.Namespace) -> None:
    """One search, finished if it was not."""
    if (folder / "summary.json").exists():
        return
    resume = (folder / "study.sqlite").exists()
    plain = {"out": folder, "space": args.space, "strategy": strategy, "seed": seed, "iterations": args.evaluations}
    limits = {"max_params": args.max_params} if args.max_params else {"max_macs": args.max_macs}
    scoring = {
        "proxy": args.proxy,
        "proxy_size": args.proxy_size,
        "proxy_batch": args.proxy_batch,
        "workers": args.workers,
        "max_repeats": args.repeats,
    }
    short = {"fresh_repeats": 2, "leader_repeats": 2, "leaders": 1, "tidy": False, "resume": resume}
    search(SearchConfig.parse({**plain, **limits, **scoring, **short}))


def union(folders: list[Path], objective: Objective) -> list[np.ndarray]:
    """The scores of the networks of each study, ranked over all of them together; a network in two is ranked once."""
    table, rows, where = Table(objective.measured), {}, []
    for folder in folders:
        study = Study.open(folder)
        ids = []
        for candidate in study.candidates():
            measured = study.measured(candidate.id, SEARCH, 0)
            if any(metric not in measured or measured[metric].value is None for metric in objective.measured):
                continue
            if candidate.key not in rows:
                row = rows[candidate.key] = len(rows)
                table.add(row, candidate.params, candidate.macs)
                for metric in objective.measured:
                    table.record(row, metric, SEARCH, 0, measured[metric].value)
                table.measured(row)
            if candidate.parent is not None or candidate.move is not None:  # not a start
                ids.append(rows[candidate.key])
        where.append(np.array(ids))
    scores = objective.scores(table)
    return [scores[ids] for ids in where]


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--space", default="uninas")
    parser.add_argument("--max-params", default="30M")
    parser.add_argument("--max-macs", default=None)
    parser.add_argument("--proxy", default="vkdnw_agg")
    parser.add_argument("--proxy-size", default="48")
    parser.add_argument("--proxy-batch", type=int, default=16)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--strategies", nargs="+", default=["walk", "evolution", "random"])
    args = parser.parse_args()
    start, rows = time.monotonic(), {name: [] for name in args.strategies}
    objective = Objective.parse(args.proxy)
    for seed in range(args.seeds):
        folders = [args.out / f"{name}-{seed}" for name in args.strategies]
        for name, folder in zip(args.strategies, folders):
            run(folder, name, seed, args)
        scores = union(folders, objective)
        for name, found in zip(args.strategies, scores):
            rows[name].append((float(found.max()), float(np.sort(found)[-10:].mean())))
        line = ", ".join(f"{name} {rows[name][-1][0]:.3f}" for name in args.strategies)
        print(f"seed {seed}: best {line}", flush=True)
    print(f"\n{'strategy':12}{'best':>9}{'sd':>7}{'top 10':>9}{'wins':>7}   ({time.monotonic() - start:.0f} s)")
    for name, found in rows.items():
        best, ten = [row[0] for row in found], [row[1] for row in found]
        spread = statistics.stdev(best) if len(best) > 1 else 0.0
        wins = sum(a > b[0] for a, b in zip(best, rows.get("random", [])))
        line = f"{name:12}{statistics.fmean(best):9.3f}{spread:7.3f}{statistics.fmean(ten):9.3f}"
        print(line + (f"{wins:5}/{len(best)}" if name != "random" else ""))
    (args.out / "table.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
