"""Searches of NAS-Bench-201 by a training-free aggregate, judged by trained accuracy.

    python benchmarks/search_nasbench201.py --table nb201_dev.csv --out runs/nb201      # goes on where it was ended

The table (columns `arch`, `c10_test_200`) holds a part of the space. Searched are the networks that it holds, so that
whatever a search chooses can be judged; the search never sees an accuracy. A search begins at one of them at random.
`random` draws as many networks at random. chosen: the accuracy of `best.yaml`, which won against the other leaders on
initialisations that the search never used.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import time
from pathlib import Path

import yaml

from uninas import Genotype
from uninas.search import SearchConfig, search


def architectures(path: Path) -> dict[str, float]:
    """CIFAR-10 test accuracy in percent by architecture string."""
    with path.open(newline="") as file:
        return {row["arch"]: float(row["c10_test_200"]) for row in csv.DictReader(file)}


def space_file(folder: Path, known: dict[str, float], seed: int) -> Path:
    """The space of the known networks, with one of them as the start."""
    start = random.Random(seed).choice(sorted(known))
    space = {
        "extends": "nasbench201",
        "name": "nasbench201_table",
        "only": sorted(known),
        "starts": {"chain": None, "resnet": None, "random": start},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(space))
    return path


def run(folder: Path, strategy: str, seed: int, known: dict[str, float], args: argparse.Namespace) -> float:
    """Accuracy of the network that a search chose; the search is finished if it was not."""
    if not (folder / "summary.json").exists():
        plain = {
            "out": folder,
            "space": str(space_file(folder, known, seed)),
            "strategy": strategy,
            "seed": seed,
            "iterations": args.evaluations,
        }
        scoring = {"proxy": args.proxy, "proxy_size": args.proxy_size, "proxy_batch": args.proxy_batch, "workers": 2}
        counted = {"input_size": 32, "num_classes": 10}
        end = {"max_repeats": 1, "fresh_repeats": 2, "leader_repeats": args.repeats, "leaders": args.leaders}
        resume = (folder / "study.sqlite").exists()
        search(SearchConfig.parse({**plain, **scoring, **counted, **end, "tidy": False, "resume": resume}))
    return known[str(Genotype.load(folder / "best.yaml").name)]


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--proxy", default="vkdnw_agg")
    parser.add_argument("--proxy-size", default="16")
    parser.add_argument("--proxy-batch", type=int, default=64)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--leaders", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=4, help="initialisations on which the leaders compete")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--strategies", nargs="+", default=["evolution", "random"])
    args = parser.parse_args()
    known, start = architectures(args.table), time.monotonic()
    rows: dict[str, list[float]] = {name: [] for name in args.strategies}
    for seed in range(args.seeds):
        for name in args.strategies:
            rows[name].append(run(args.out / f"{name}-{seed}", name, seed, known, args))
            print(f"{name}, seed {seed}: {rows[name][-1]:.2f}", flush=True)
    print(f"\n{'strategy':12}{'CIFAR-10':>10}{'sd':>7}{'worst':>8}   ({time.monotonic() - start:.0f} s)")
    for name, found in rows.items():
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        print(f"{name:12}{statistics.fmean(found):10.2f}{spread:7.2f}{min(found):8.2f}")
    print(f"{'the table':12}{statistics.fmean(known.values()):10.2f}{statistics.stdev(known.values()):7.2f}")


if __name__ == "__main__":
    main()
