"""Tables of trained accuracies: a CSV file, or the official files of NATS-Bench's topology space."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import nearest
from .errors import BenchmarkError

ARCH = "arch"
INDEX = "index"
"""Columns of a CSV that hold no accuracies."""


@dataclass(frozen=True)
class Table:
    """Trained accuracies of N architectures."""

    archs: tuple[str, ...]
    accuracies: dict[str, NDArray[np.float64]]
    """N percentages for each column."""

    def __len__(self) -> int:
        return len(self.archs)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Table:
        """The table of some of the rows."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Table(tuple(self.archs[i] for i in chosen), {name: a[chosen] for name, a in self.accuracies.items()})


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> Table:
    """The accuracies in `path`.

    Args:
        path: a CSV file, or what NATS-Bench distributes for its topology space: a folder of `*.pickle.pbz2` files, or
            one such file (see `uninas.benchmark.nats`).
        columns: which accuracies; by default all that there are.

    Raises:
        BenchmarkError: the file cannot be read, has no such column, or a value that is not a percentage; the message
            names the file, and the line.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".pbz2":
        from .nats import read_nats

        table = read_nats(path)
        return Table(table.archs, {name: table.accuracies[name] for name in _chosen(table.accuracies, columns, path)})
    return read_csv(path, columns)


def read_csv(path: str | Path, columns: Sequence[str] | None = None) -> Table:
    """The accuracies of a CSV file: a column `arch`, columns of accuracies in percent, and maybe a column `index`.

    Raises:
        BenchmarkError: see `read_table`.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = [name for name in reader.fieldnames or () if name]
            if ARCH not in header:
                raise BenchmarkError(f"{path} has no column {ARCH!r}; its columns: {', '.join(header) or 'none'}")
            names = _chosen([name for name in header if name not in (ARCH, INDEX)], columns, path)
            archs: dict[str, int] = {}
            values: dict[str, list[float]] = {name: [] for name in names}
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                arch = (row[ARCH] or "").strip()
                if archs.setdefault(arch, reader.line_num) != reader.line_num:
                    raise BenchmarkError(f"{where}: {arch!r} is already on line {archs[arch]}")
                for name in names:
                    values[name].append(_percentage(row[name], f"{where}, column {name}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkError(f"{path} cannot be read: {error}") from error
    if len(archs) < 2:
        raise BenchmarkError(f"{path} has {len(archs)} architectures; a ranking needs at least 2")
    accuracies = {name: np.array(column) for name, column in values.items()}
    for name, column in accuracies.items():
        if column.max() <= 1:
            raise BenchmarkError(f"{path}, column {name}: the highest value is {column.max()}; wants percent, 0 to 100")
    return Table(tuple(archs), accuracies)


def _chosen(there: Iterable[str], columns: Sequence[str] | None, path: Path) -> list[str]:
    names = list(there)
    if not names:
        raise BenchmarkError(f"{path} has no column of accuracies beside {ARCH!r}")
    for column in columns or ():
        if column not in names:
            raise BenchmarkError(f"{path} has no column of accuracies {column!r}; {nearest(column, names)}")
    return list(columns or names)


def _percentage(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise BenchmarkError(f"{where}: an accuracy is a number from 0 to 100, got {text!r}")
    return value
