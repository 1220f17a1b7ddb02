"""What `uninas rank` left in a folder, taken up again: scores beside labels, for studies that score nothing anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import proxies
from . import tables
from .errors import RankingError
from .halves import Half, half_of
from .judging import Judge
from .scoring import BASELINES
from .store import FILE, read_scores
from .tables import Table

Network = dict[str, "float | None"]
"""Values of one network by signal; None where the signal failed."""


@dataclass(frozen=True)
class Stored:
    """N scored networks.

    Attributes:
        table: their labels.
        keys: N.
        signals: what was measured of all of them, on every seed.
        runs: seeds x N; in every run, aggregates rank over these networks.
    """

    table: Table
    keys: tuple[str, ...]
    signals: tuple[str, ...]
    runs: tuple[list[Network], ...]

    def half(self, half: Half) -> Stored:
        """The networks of one half. Raises RankingError if there are fewer than 2."""
        rows = [i for i, key in enumerate(self.keys) if half_of(key) == half]
        if len(rows) < 2:
            raise RankingError(f"the half to {half} has {len(rows)} scored networks; a ranking needs at least 2")
        keys = tuple(self.keys[i] for i in rows)
        runs = tuple([run[i] for i in rows] for run in self.runs)
        return replace(self, table=self.table.take(rows), keys=keys, runs=runs)

    def scores(self, name: str) -> list[list[float | None]]:
        """Seeds x N scores of a proxy, an aggregate or a baseline, higher is better.

        Raises:
            ProxyError: an unknown name.
            RankingError: something that it needs was not measured.
        """
        if name in self.signals:
            sign = proxies.sign_of(name)
            return [[None if (value := row[name]) is None else sign * value for row in run] for run in self.runs]
        aggregate = proxies.parse(name)
        for member in aggregate.proxies:
            if member not in self.signals:
                known = ", ".join(self.signals)
                raise RankingError(f"{name}: {member} was not measured of all networks; known: {known}")
        return [aggregate(run).tolist() for run in self.runs]

    def judge(self) -> Judge:
        """Judges scores of these networks."""
        return Judge(self.table, [[row[name] for row in self.runs[0]] for name in ("params", "macs")])


def read_stored(folder: Path, table: str | Path, tasks: Sequence[str] = ()) -> Stored:
    """The networks of a table that a ranking in `folder` has scored.

    Args:
        folder: `--out` of `uninas rank`.
        table: the table that was ranked there.
        tasks: whose columns, or single columns; by default all.

    Raises:
        RankingError: there are no scores, or the table cannot be read or is another one.
    """
    setting, keys, rows = read_scores(folder / FILE)
    kind = str(setting["benchmark"])
    found = tables.load(kind).read(tables.locate(table, kind)[1])
    if tasks:
        found = found.of_tasks(tasks)
    seeds = sorted({seed for _, name, seed in rows if name == BASELINES[0]})
    drawn = [i for i in found.labelled if found.names[i] in keys]
    chosen = [i for i in drawn if all((keys[found.names[i]], BASELINES[0], seed) in rows for seed in seeds)]
    if not seeds or len(chosen) < 2:
        raise RankingError(f"{folder / FILE} has scores of {len(chosen)} networks of {table}; run `uninas rank` on it")
    mine = tuple(keys[found.names[i]] for i in chosen)
    signals = sorted({name for _, name, _ in rows})
    signals = tuple(name for name in signals if all((key, name, seed) in rows for key in mine for seed in seeds))
    runs = tuple([{name: rows[key, name, seed].value for name in signals} for key in mine] for seed in seeds)
    return Stored(found.take(chosen), mine, signals, runs)
