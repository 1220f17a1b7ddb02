"""What a table of trained networks is, and what a file about one kind of table declares.

    BENCHMARK = Benchmark(
        name="mine",
        files="a CSV file",
        recognises=lambda path: path.suffix == ".csv",
        read=read,              # file -> Table
        key=lambda arch: arch,  # equal for architectures that are the same network
        module=build,           # (arch, classes, seed) -> any torch.nn.Module that classifies images
        inputs=Inputs(channels=3, size=32),
        classes=10,
    )

An architecture is text from which `module` alone can build the network, so that it can be sent to a worker process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...errors import nearest
from ..errors import RankingError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """What the trainings of N networks achieved in one respect.

    Attributes:
        name: unique in the table.
        task: what was trained for; several columns can be of one task.
        trainings: N x T, a column for each repeat of the training, NaN where a network was not trained (so often).
        higher_is_better: the direction.
        percent: whether the values are accuracies in percent, of which nDCG is defined.
    """

    name: str
    task: str
    trainings: Floats
    higher_is_better: bool = True
    percent: bool = True

    @property
    def labels(self) -> Floats:
        """N means over the trainings; NaN where there was none."""
        there = np.isfinite(self.trainings)
        sums, counts = np.where(there, self.trainings, 0.0).sum(1), there.sum(1)
        return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)

    def take(self, rows: NDArray[np.int64]) -> Column:
        """The column of some of the networks."""
        return replace(self, trainings=self.trainings[rows])


@dataclass(frozen=True)
class Table:
    """N trained networks.

    Attributes:
        archs: what `Benchmark.module` builds each from.
        columns: what their trainings achieved.
        names: short names for people; the architectures themselves unless given.
        families: what each network belongs with, such as the one that it was mutated from; None where nothing is known.
        failures: why networks of the file are not in the table, by name: every training failed.
    """

    archs: tuple[str, ...]
    columns: tuple[Column, ...]
    names: tuple[str, ...] = ()
    families: tuple[str, ...] | None = None
    failures: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", self.archs)

    def __len__(self) -> int:
        return len(self.archs)

    @property
    def labelled(self) -> list[int]:
        """Positions of the networks that have a label in some column."""
        return np.flatnonzero(np.isfinite([column.labels for column in self.columns]).any(axis=0)).tolist()

    def column(self, name: str) -> Column:
        """The column of that name. Raises RankingError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise RankingError(f"there is no column {name!r}; {nearest(name, (c.name for c in self.columns))}")

    def of_tasks(self, tasks: Sequence[str]) -> Table:
        """The table with the columns of some tasks, or some single columns by name.

        Raises:
            RankingError: an unknown task.
        """
        known = {name for column in self.columns for name in (column.task, column.name)}
        for task in tasks:
            if task not in known:
                raise RankingError(f"the table has no task {task!r}; {nearest(task, known)}")
        return replace(self, columns=tuple(c for c in self.columns if c.task in tasks or c.name in tasks))

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Table:
        """The table of some of the networks."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            archs=tuple(self.archs[i] for i in chosen),
            columns=tuple(column.take(chosen) for column in self.columns),
            names=tuple(self.names[i] for i in chosen),
            families=self.families and tuple(self.families[i] for i in chosen),
        )


@dataclass(frozen=True)
class Inputs:
    """What the networks of a table take.

    Attributes:
        channels: of an image.
        size: its height and width in pixels, unless a command says otherwise.
    """

    channels: int = 3
    size: int = 32


@dataclass(frozen=True)
class Benchmark:
    """One kind of table: how it is read, and how its networks are built.

    Attributes:
        name: as `--benchmark` takes it.
        files: what `read` takes, in words.
        recognises: whether a path that exists looks like such a table; cheap, and never raises.
        read: path -> Table; raises RankingError with file, place and value of what is wrong.
        key: arch -> text that is equal for architectures that are the same network, which is then scored once. Raises a
            UninasError for what is no architecture; such networks are skipped, with the reason.
        module: (arch, classes, seed of the weights) -> a network in training mode that takes B x channels x H x W.
        inputs: what these networks take.
        classes: of the scored networks, unless a command says otherwise.
    """

    name: str
    files: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Table]
    key: Callable[[str], str]
    module: Callable[[str, int, int], nn.Module]
    inputs: Inputs = Inputs()
    classes: int = 10


def percentages(trainings: Floats, name: str, where: str) -> None:
    """Checks a column of percentages as a whole.

    Raises:
        RankingError: all are at most 1, as fractions are.
    """
    if np.nanmax(trainings) <= 1:
        message = f"the highest value is {np.nanmax(trainings)}; expected percent, 0 to 100"
        raise RankingError(f"{where}, column {name}: {message}")


def percentage(text: object, where: str) -> float:
    """A number from 0 to 100. Raises RankingError with the place."""
    try:
        value = float(str(text))
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 100:
        raise RankingError(f"{where}: an accuracy is a number from 0 to 100, got {text!r}")
    return value
