"""Ranks the networks of a table with proxies, and compares with what their training achieved.

networks drawn from the table  ->  scores, kept in scores.sqlite  ->  metrics, beside what is known without looking
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import proxies
from ..errors import UninasError
from ..search.executors.attempt import is_of_circumstances
from . import tables
from .errors import RankingError
from .halves import Half, half_of
from .judging import SECOND, Judge, Progress
from .results import RESULT_FILES, Ranking, write
from .scoring import BASELINES, DEPTH, Setting, Task, inputs
from .store import FILE, Row, Store
from .tables import Table
from .workers import Workers


@dataclass(frozen=True)
class RankConfig:
    """What to rank.

    Attributes:
        table: a file or folder that the setting's benchmark reads.
        proxies: proxies and aggregates, such as "vkdnw_single", "vkdnw_agg", "logodds(macs, jacov)".
        out: folder for the scores and results.
        tasks: whose columns of the table to compare with, or single columns; None stands for all.
        limit: number of architectures, drawn from the table; a higher one keeps those that a lower one draws. None
            stands for all.
        half: rank only those of the drawn that are in this half, see `halves.py`; None ranks all.
        references: what leads are over: proxies, aggregates or baselines, which are then ranked too.
        seed: the first seed of weights and inputs.
        seeds: how many; metrics are averaged over them.
        workers: processes.
        setting: how a network is scored.
        force: replace what an earlier run with another setting left in `out`.

    Raises:
        RankingError: a number out of range, or no proxies.
    """

    table: Path
    proxies: tuple[str, ...]
    out: Path
    tasks: tuple[str, ...] | None = None
    limit: int | None = None
    half: Half | None = None
    references: tuple[str, ...] = ("macs",)
    seed: int = 0
    seeds: int = 1
    workers: int = 1
    setting: Setting = field(default_factory=Setting)
    force: bool = False

    def __post_init__(self) -> None:
        for name, least in (("limit", 2), ("seeds", 1), ("workers", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise RankingError(f"{name} is a whole number of at least {least}, got {value}")
        if not self.proxies:
            raise RankingError(f"expected at least one proxy; there are: {', '.join(proxies.available())}")


def _silent(done: int, total: int) -> None:
    """Reports nothing."""


class Rank:
    """A ranking in three steps, of which the first finds what is wrong with the configuration.

    Raises:
        RankingError: the table, the folder or a setting cannot be used.
        ProxyError: an unknown proxy.
    """

    def __init__(self, config: RankConfig) -> None:
        self.config = config
        self.references = tuple(map(_parse, config.references))
        self.names = tuple(dict.fromkeys([*map(_parse, config.proxies), *self.references, *BASELINES]))
        """Of what is ranked: proxies, aggregates and baselines."""
        aggregates = [proxies.parse(name) for name in self.names if name != DEPTH]
        self.aggregates = {found.name: found for found in aggregates if found.name not in proxies.PROXIES}
        members = [member for found in aggregates for member in found.proxies]
        self.bases = tuple(dict.fromkeys([*members, *BASELINES]))
        """What is measured of each network."""
        self.seeds = tuple(range(config.seed, config.seed + config.seeds))
        self.table, self.keys, self.skipped = _networks(config)
        inputs(config.setting, self.seeds[0])  # finds what is wrong with a folder of images
        self.store = _open(config)
        self.store.draw(self.table.names, self.keys)

    def score(self, on_progress: Progress = _silent) -> None:
        """Scores what is not in the folder yet, and again what failed for want of memory or of a working device.

        Interrupted, it goes on from there the next time.

        Raises:
            RankingError: a worker died, or the scores cannot be written.
        """
        tasks = list(self._missing())
        total = len(set(self.keys)) * len(self.seeds)
        done = total - len(tasks)
        on_progress(done, total)
        with Workers(self.config.setting, min(self.config.workers, len(tasks))) as workers:
            for rows in workers.score(tasks):
                self.store.add(rows)
                done += 1
                on_progress(done, total)

    def _missing(self) -> Iterator[Task]:
        there = {place for place, row in self.store.rows().items() if not is_of_circumstances(row.failure)}
        for seed in self.seeds:
            for key, arch in dict(zip(self.keys, self.table.archs)).items():  # one architecture for each network
                wanted = tuple(base for base in self.bases if (key, base, seed) not in there)
                if wanted:
                    yield Task(arch, key, seed, wanted)

    def finish(self, on_progress: Progress = _silent) -> tuple[Ranking, list[Path]]:
        """The metrics of all that is scored, and the files they were written to."""
        ranking = self._ranking(on_progress)
        paths = write(ranking, self.config.out)
        self.store.close()
        return ranking, [*paths, self.store.path]

    def _ranking(self, on_progress: Progress) -> Ranking:
        rows = self.store.rows()
        found = {base: [[rows[key, base, seed] for key in self.keys] for seed in self.seeds] for base in self.bases}
        seconds = {base: [row.seconds for run in runs for row in run] for base, runs in found.items()}
        scores = {name: [self._values(name, found, run) for run in range(len(self.seeds))] for name in self.names}
        judge = Judge(self.table, [scores[name][0] for name in ("params", "macs")])
        upward = {name: [_upward(name, run) for run in runs] for name, runs in scores.items()}
        return Ranking(
            proxies=self.names,
            baselines=(*BASELINES, SECOND),
            references=self.references,
            table=self.table,
            keys=self.keys,
            half=self.config.half,
            seeds=self.seeds,
            scores=scores,
            failures={base: reasons for base, runs in found.items() if (reasons := _reasons(runs))},
            seconds={base: float(np.mean(values)) for base, values in seconds.items()},
            skipped=self.skipped,
            results=tuple(judge.results(upward, self.references, on_progress)),
            setting=self.config.setting.fingerprint(),
        )

    def _values(self, name: str, found: dict[str, list[list[Row]]], run: int) -> list[float | None]:
        """The scores of one proxy or aggregate in one run; an aggregate ranks over all networks of the run."""
        if name not in self.aggregates:
            return [row.value for row in found[name][run]]
        bases = self.aggregates[name].proxies
        networks = [{row.proxy: row.value for row in rows} for rows in zip(*(found[base][run] for base in bases))]
        return self.aggregates[name](networks).tolist()


def _parse(name: str) -> str:
    """The name that results have. Raises ProxyError for what is unknown."""
    return DEPTH if name == DEPTH else proxies.parse(name).name


def _upward(name: str, run: list[float | None]) -> list[float | None]:
    """Scores of which more is better."""
    sign = proxies.sign_of(name)
    return [None if value is None else sign * value for value in run]


def _networks(config: RankConfig) -> tuple[Table, tuple[str, ...], dict[str, str]]:
    """The drawn networks, their keys, and the architectures that have none with the reason."""
    benchmark = tables.load(config.setting.benchmark)
    table = benchmark.read(config.table)
    if config.tasks:
        table = table.of_tasks(config.tasks)
    # By a hash, so that neither the order of the table nor its length decides who is drawn before whom.
    drawn = sorted(table.labelled, key=lambda i: hashlib.sha256(table.archs[i].encode()).digest())
    good, keys, skipped = [], [], dict(table.failures)
    for i in drawn[: config.limit]:
        try:
            key = benchmark.key(table.archs[i])
        except UninasError as error:
            skipped[table.names[i]] = str(error)
        else:
            if config.half in (None, half_of(key)):
                keys.append(key)
                good.append(i)
    if len(good) < 2:
        first = f"; {next(iter(skipped.values()))}" if skipped else ""
        raise RankingError(f"{config.table} has {len(good)} networks of {benchmark.name} to rank{first}")
    return table.take(good), tuple(keys), skipped


def _open(config: RankConfig) -> Store:
    """The scores in the folder: of an earlier run with this setting, or none."""
    out = config.out
    ours = [path for name in (FILE, *RESULT_FILES) if (path := out / name).exists()]
    try:
        if config.force:
            for path in ours:
                path.unlink()
        elif ours and ours[0].name != FILE:
            raise RankingError(f"{ours[0]} is there without its {FILE}; give another folder, or --force")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RankingError(f"{out} cannot be used: {error}") from error
    return Store(out / FILE, config.setting.fingerprint())


def _reasons(runs: Sequence[Sequence[Row]]) -> dict[str, int]:
    return dict(Counter(row.failure for run in runs for row in run if row.failure))
