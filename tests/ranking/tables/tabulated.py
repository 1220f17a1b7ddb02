"""A small table as `uninas tabulate` writes them: tiny networks, invented accuracies."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import uninas

COLUMNS = ["key", "task", "seed", "accuracy", "loss", "params", "macs", "depth", "family", "how", "seconds", "failure"]


def networks() -> dict[str, uninas.Genotype]:
    """Eight networks of two families, by name."""
    found = {}
    for name in ("resnet", "efficientnet"):
        for width in (8, 12, 16, 20):
            sizes = {"widths": (width, width, 2 * width, 2 * width), "depths": (1, 1, 1, 1)}
            found[f"{name}-{width}"] = uninas.blocks.network(name, **sizes)
    return found


def row(genotype: uninas.Genotype, family: str, task: str, seed: int, accuracy: float) -> dict:
    filled = {"key": genotype.key, "task": task, "seed": seed, "accuracy": accuracy, "loss": 2 - accuracy / 100}
    return {**dict.fromkeys(COLUMNS, ""), **filled, "family": family, "how": "walk", "seconds": 1.5}


def rows() -> list[dict]:
    """Task `a` on all networks, twice on half of them; task `b` on three; the last network failed everywhere."""
    found = []
    for i, (name, genotype) in enumerate(networks().items()):
        family = name.split("-")[0]
        if i == 7:
            found.append(row(genotype, family, "a", 0, 0.0) | {"accuracy": "", "loss": "", "failure": "diverged"})
            continue
        found.append(row(genotype, family, "a", 0, 60 + 4 * i))
        if i % 2 == 0:
            found.append(row(genotype, family, "a", 1, 61 + 4 * i))
        if i in (0, 3, 5):
            found.append(row(genotype, family, "b", 0, 30 + i))
    return found


def write(folder: Path, data: dict | None = None, results: list[dict] | None = None) -> Path:
    """The folder, with both files."""
    folder.mkdir(parents=True, exist_ok=True)
    if data is None:
        data = {"schema": 1, "genotypes": {found.key: found.to_dict() for found in networks().values()}}
    with gzip.open(folder / "networks.json.gz", "wt", encoding="utf-8") as file:
        json.dump(data, file)
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows() if results is None else results)
    return folder
