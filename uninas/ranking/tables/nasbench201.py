"""NAS-Bench-201: a CSV file with a column `arch`, or the official files of NATS-Bench's topology space.

    index,arch,c10,c100
    1,|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|,93.66,70.29

Every other column of the CSV holds accuracies in percent. The space itself is data: spaces/nasbench201.yaml.

An architecture string names the operation of every edge, node by node, each with the node it comes from:

    |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import nn

from ...compiler import build
from ...errors import SpaceError
from ...genotype import BlockGraph, Genotype
from ...genotype.frame import check_whole
from ...search.space.base import Space
from ...search.space.cells import CellSpace, Edge
from ..errors import RankingError
from .base import Benchmark, Column, Table, percentage, percentages
from .nats import SUFFIX, read_nats

ARCH = "arch"
INDEX = "index"
"""Columns of a CSV that hold no accuracies."""


def read(path: Path) -> Table:
    """The table of a CSV file, or of NATS-Bench's files: a folder of `*.pickle.pbz2`, or one such file.

    Raises:
        RankingError: the file cannot be read, or a value is not a percentage; the message names the file and the line.
    """
    return read_nats(path) if path.is_dir() or path.name.endswith(SUFFIX) else read_csv(path)


def read_csv(path: Path) -> Table:
    """The accuracies of a CSV file: a column `arch`, columns of accuracies in percent, and maybe a column `index`.

    Raises:
        RankingError: see `read`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = [name for name in reader.fieldnames or () if name]
            names = [name for name in header if name not in (ARCH, INDEX)]
            if ARCH not in header:
                raise RankingError(f"{path} has no column {ARCH!r}; its columns: {', '.join(header) or 'none'}")
            if not names:
                raise RankingError(f"{path} has no column of accuracies beside {ARCH!r}")
            archs: dict[str, int] = {}
            values: list[list[float]] = []
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                arch = (row[ARCH] or "").strip()
                if archs.setdefault(arch, reader.line_num) != reader.line_num:
                    raise RankingError(f"{where}: {arch!r} is already on line {archs[arch]}")
                values.append([percentage(row[name], f"{where}, column {name}") for name in names])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RankingError(f"{path} cannot be read: {error}") from error
    if len(archs) < 2:
        raise RankingError(f"{path} has {len(archs)} architectures; a ranking needs at least 2")
    columns = [Column(name, name, one[:, None]) for name, one in zip(names, np.array(values, dtype=np.float64).T)]
    for column in columns:
        percentages(column.trainings, column.name, str(path))
    return Table(tuple(archs), tuple(columns))


def recognises(path: Path) -> bool:
    """Whether `path` is a CSV file, or looks like NATS-Bench's."""
    return path.suffix == ".csv" or path.name.endswith(SUFFIX) or (path.is_dir() and any(path.glob(f"*{SUFFIX}")))


def module(arch: str, classes: int, seed: int) -> nn.Module:
    """The network of an architecture string, initialised."""
    return build(nasbench201(arch, classes), classes, seed=seed)


@lru_cache(maxsize=1)
def space() -> CellSpace:
    """The space of spaces/nasbench201.yaml."""
    found = Space.load("nasbench201")
    if not isinstance(found, CellSpace):
        raise RankingError("the space nasbench201 is not one of cells; is there another file of that name here?")
    return found


def nasbench201(arch: str, num_classes: int = 10) -> Genotype:
    """The network of an architecture string: C = 16, N = 5, for images of 32 x 32 (and any other size).

    Only what can influence the output is there. An edge that lies on no path from the cell's input to its output is
    left out: what leads into a dead end, and what starts at a node that nothing reaches. Architectures without such
    edges (`is_complete`) have the official network's parameters. For the others the official network has more: it keeps
    the weights of dead ends, and it runs operations on nodes that are zero, where the shift of a batch norm - zero at
    initialisation - can become a learnt constant.

    Sums are flat and a skip is no operation, so architectures that are the same network have the same `key`.

    Args:
        arch: as in NAS-Bench-201 and NATS-Bench's topology space.
        num_classes: checked only: a genotype does not hold it. Give it to `uninas.build(genotype, num_classes)`.

    Raises:
        RankingError: not an architecture string of the space, or no path leads to the output.
    """
    check_whole(num_classes, "num_classes")
    with _as_benchmark_error():
        return space().decode(space().parse(arch))


def cell_graph(arch: str) -> BlockGraph:
    """The cell of an architecture string as a block graph.

    Raises:
        RankingError: see `nasbench201`.
    """
    with _as_benchmark_error():
        return space().cell(space().parse(arch))


def parse(arch: str) -> list[Edge]:
    """All edges of an architecture string, `none` included, by target and then by source.

    Raises:
        RankingError: the string is not of the space; the message says where.
    """
    with _as_benchmark_error():
        return space().edge_list(space().parse(arch))


def is_complete(arch: str) -> bool:
    """Whether every edge but `none` lies on a path from input to output.

    True for 9,445 of the 15,625 architectures, which most published rankings use. One of these is the cell without any
    edge, for which there is no network.

    Raises:
        RankingError: the string is not of the space.
    """
    with _as_benchmark_error():
        return space().is_complete(space().parse(arch))


@contextmanager
def _as_benchmark_error() -> Iterator[None]:
    try:
        yield
    except SpaceError as error:
        raise RankingError(str(error)) from None


BENCHMARK = Benchmark(
    name="nasbench201",
    files="a CSV file with a column `arch`, or the files of NATS-Bench's topology space",
    recognises=recognises,
    read=read,
    key=lambda arch: nasbench201(arch).key,
    module=module,
)
