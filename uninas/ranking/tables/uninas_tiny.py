"""Trained networks of a graph space of uninas, as `uninas tabulate` writes them: a folder with two files.

    networks.json.gz   {"schema": 1, "genotypes": {key: a genotype in the layout of its file, ...}, ...}
    results.csv        key,task,seed,accuracy,loss,params,macs,depth,family,how,seconds,failure
                       4c0f...,fashion,0,81.25,0.512,412330,9120000,17,coatnet,walk,93.1,

A row is one training: accuracy in percent and loss on the test images, or the reason why it failed. A network can have
several rows a task, with different seeds; its label is their mean. `family` is the start that its walk came from, or
`sample`. Columns of the table are `TASK` (accuracy) and `TASK_loss`, of which less is better. A table can be read while
it grows: a last line that does not end is not there yet.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ...compiler import build
from ...errors import GenotypeError
from ...genotype import Genotype
from ..errors import RankingError
from .base import Benchmark, Column, Table, percentage

NETWORKS = "networks.json.gz"
RESULTS = "results.csv"
SCHEMA = 1
NEEDED = ("key", "task", "seed", "accuracy", "loss", "family", "failure")
"""Columns of results.csv that are read. Parameters, MACs and depth are measured anew with the scores."""


class Training(NamedTuple):
    """One row of results.csv."""

    key: str
    task: str
    seed: int
    accuracy: float
    loss: float
    family: str
    failure: str


def read(path: Path) -> Table:
    """The networks that were trained at least once, in the order of networks.json.gz.

    Raises:
        RankingError: a file cannot be read, is of another version, or a row is not valid; the message says where.
    """
    genotypes = _genotypes(path / NETWORKS)
    rows = list(_trainings(path / RESULTS, genotypes))
    trained = [row for row in rows if not row.failure]
    keys = [key for key in genotypes if key in {row.key for row in trained}]
    if len(keys) < 2:
        raise RankingError(f"{path / RESULTS} has {len(keys)} trained networks; a ranking needs at least 2")
    place = {key: i for i, key in enumerate(keys)}
    family = {row.key: row.family for row in rows}
    columns = []
    for task in dict.fromkeys(row.task for row in trained):
        mine = [row for row in trained if row.task == task]
        seeds = sorted({row.seed for row in mine})
        accuracy, loss = np.full((2, len(keys), len(seeds)), np.nan)
        for row in mine:
            accuracy[place[row.key], seeds.index(row.seed)] = row.accuracy
            loss[place[row.key], seeds.index(row.seed)] = row.loss
        columns.append(Column(task, task, accuracy))
        if np.isfinite(loss).any():
            columns.append(Column(f"{task}_loss", task, loss, higher_is_better=False, percent=False))
    return Table(
        archs=tuple(json.dumps(genotypes[key]) for key in keys),
        columns=tuple(columns),
        names=tuple(keys),
        families=tuple(family[key] for key in keys),
        failures=tuple((row.key, f"training failed: {row.failure}") for row in rows if row.key not in place),
    )


def recognises(path: Path) -> bool:
    """Whether `path` is a folder with both files."""
    return (path / NETWORKS).is_file() and (path / RESULTS).is_file()


def module(arch: str, classes: int, seed: int) -> nn.Module:
    """The network of a genotype in JSON, initialised."""
    return build(Genotype.from_dict(json.loads(arch)), classes, seed=seed)


def _genotypes(path: Path) -> dict[str, Any]:
    """Genotypes as plain data, by key.

    Raises:
        RankingError: the file cannot be read, or a genotype is not valid or has another key.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, EOFError, ValueError) as error:
        raise RankingError(f"{path} cannot be read as compressed JSON: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise RankingError(f"{path}: this uninas reads schema {SCHEMA}, the file has {found!r}")
    genotypes = data.get("genotypes", data.get("graphs"))
    if not isinstance(genotypes, dict):
        raise RankingError(f"{path}: genotypes: expected a mapping from keys, got {type(genotypes).__name__}")
    for key, genotype in genotypes.items():
        try:
            found = Genotype.from_dict(genotype).key
        except GenotypeError as error:
            raise RankingError(f"{path}, genotypes.{key}: {error}") from error
        if found != key:
            raise RankingError(f"{path}, genotypes.{key}: the key of this genotype is {found}; the file was changed")
    return genotypes


def _trainings(path: Path, genotypes: Iterable[str]) -> Iterable[Training]:
    """The rows of results.csv. Raises RankingError with the line of what is wrong."""
    lines: dict[tuple[str, str, int], int] = {}
    try:
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
        reader = csv.DictReader(io.StringIO(whole, newline=""))
        if missing := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
            raise RankingError(f"{path} has no column {missing[0]!r}; expected {', '.join(NEEDED)}")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            found = _training({name: row[name] or "" for name in NEEDED}, where)
            if found.key not in genotypes:
                raise RankingError(f"{where}, column key: {NETWORKS} has no network {found.key!r}")
            if lines.setdefault(found[:3], reader.line_num) != reader.line_num:
                raise RankingError(f"{where}: this key, task and seed are already on line {lines[found[:3]]}")
            yield found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RankingError(f"{path} cannot be read: {error}") from error


def _training(row: dict[str, str], where: str) -> Training:
    if not row["seed"].strip().isdecimal():
        raise RankingError(f"{where}, column seed: expected a whole number, got {row['seed']!r}")
    accuracy = loss = math.nan
    if not row["failure"]:
        accuracy = percentage(row["accuracy"], f"{where}, column accuracy")
        loss = _loss(row["loss"], f"{where}, column loss")
    return Training(row["key"], row["task"], int(row["seed"]), accuracy, loss, row["family"], row["failure"])


def _loss(text: str, where: str) -> float:
    """A loss; NaN where the field is empty, as for tasks that have none."""
    try:
        value = float(text or "nan")
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise RankingError(f"{where}: a loss is a number, got {text!r}")
    return value


BENCHMARK = Benchmark(
    name="uninas_tiny",
    files=f"a folder with {NETWORKS} and {RESULTS}",
    recognises=recognises,
    read=read,
    key=lambda arch: Genotype.from_dict(json.loads(arch)).key,
    module=module,
)
