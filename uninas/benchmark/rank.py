"""Ranks the networks of a benchmark with proxies, and compares with their trained accuracies."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import proxies
from ..errors import UninasError
from .bootstrap import bootstrap
from .errors import BenchmarkError
from .results import RESULT_FILES, Ranking, Result, write
from .scoring import SPACES, Setting, Task, inputs
from .store import FILE, Row, Store
from .table import Table, read_table
from .workers import Workers

RESAMPLES = 1000


@dataclass(frozen=True)
class RankConfig:
    """What to rank.

    Attributes:
        table: see `uninas.benchmark.read_table`.
        proxies: proxies and aggregates, such as "vkdnw_single", "vkdnw_agg", "logrank(macs, jacov)".
        out: folder for the scores and results.
        columns: of the table; None stands for all that hold accuracies.
        limit: number of architectures, drawn from the table; a higher one keeps those that a lower one draws. None
            stands for all.
        seed: the first seed of weights and inputs.
        seeds: how many; metrics are averaged over them.
        workers: processes.
        setting: how a network is scored.
        force: replace what an earlier run with another setting left in `out`.
    """

    table: Path
    proxies: tuple[str, ...]
    out: Path
    columns: tuple[str, ...] | None = None
    limit: int | None = None
    seed: int = 0
    seeds: int = 1
    workers: int = 1
    setting: Setting = field(default_factory=Setting)
    force: bool = False

    def __post_init__(self) -> None:
        for name, least in (("limit", 2), ("seeds", 1), ("workers", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BenchmarkError(f"{name} is a whole number of at least {least}, got {value}")
        if not self.proxies:
            raise BenchmarkError(f"wants at least one proxy; there are: {', '.join(proxies.available())}")


Progress = Callable[[int, int], None]
"""Called with the number of scored networks and of all, before the first and after each."""


class Rank:
    """A ranking in three steps, of which the first finds what is wrong with the configuration.

    Raises:
        BenchmarkError: the table, the folder or a setting cannot be used.
        ProxyError: an unknown proxy.
    """

    def __init__(self, config: RankConfig) -> None:
        self.config = config
        self.aggregates = {aggregate.name: aggregate for aggregate in map(proxies.parse, config.proxies)}
        self.bases = tuple(dict.fromkeys(base for aggregate in self.aggregates.values() for base in aggregate.proxies))
        self.seeds = tuple(range(config.seed, config.seed + config.seeds))
        self.table, self.keys, self.skipped = _networks(read_table(config.table, config.columns), config)
        inputs(config.setting, self.seeds[0])  # finds what is wrong with a folder of images
        self.store = _open(config)

    def score(self, on_progress: Progress = lambda done, total: None) -> None:
        """Scores what is not in the folder yet. Interrupted, it goes on from there the next time.

        Raises:
            BenchmarkError: a worker died.
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
        there = self.store.rows()
        for seed in self.seeds:
            for key, arch in dict(zip(self.keys, self.table.archs)).items():  # one architecture for each network
                wanted = tuple(base for base in self.bases if (key, base, seed) not in there)
                if wanted:
                    yield Task(arch, key, seed, wanted)

    def finish(self) -> tuple[Ranking, list[Path]]:
        """The metrics of all that is scored, and the files they were written to."""
        ranking = self._ranking()
        paths = write(ranking, self.config.out)
        self.store.close()
        return ranking, [*paths, self.store.path]

    def _ranking(self) -> Ranking:
        rows = self.store.rows()
        found = {base: [[rows[key, base, seed] for key in self.keys] for seed in self.seeds] for base in self.bases}
        seconds = {base: [row.seconds for run in runs for row in run] for base, runs in found.items()}
        names = tuple(self.aggregates)
        scores = {name: [self._values(name, found, run) for run in range(len(self.seeds))] for name in names}
        return Ranking(
            proxies=names,
            archs=self.table.archs,
            keys=self.keys,
            accuracies=self.table.accuracies,
            seeds=self.seeds,
            scores=scores,
            failures={base: reasons for base, runs in found.items() if (reasons := _reasons(runs))},
            seconds={base: float(np.mean(values)) for base, values in seconds.items()},
            skipped=self.skipped,
            results=tuple(self._result(n, column, scores[n]) for n in names for column in self.table.accuracies),
            setting=self.config.setting.fingerprint(),
        )

    def _values(self, name: str, found: dict[str, list[list[Row]]], run: int) -> list[float | None]:
        """The scores of one proxy or aggregate in one run; an aggregate ranks over all networks of the run."""
        if name in proxies.PROXIES:
            return [row.value for row in found[name][run]]
        bases = self.aggregates[name].proxies
        networks = [{row.proxy: row.value for row in rows} for rows in zip(*(found[base][run] for base in bases))]
        return self.aggregates[name](networks).tolist()

    def _result(self, name: str, column: str, runs: Sequence[list[float | None]]) -> Result:
        rng = np.random.default_rng(0)  # the same draws for every proxy: their intervals compare
        sign = 1 if name not in proxies.PROXIES or proxies.get(name).higher_is_better else -1
        upwards = [[None if value is None else sign * value for value in run] for run in runs]
        try:
            mean, intervals = bootstrap(self.table.accuracies[column], upwards, rng, resamples=RESAMPLES)
        except BenchmarkError as error:
            return Result(name, column, None, None, str(error))
        return Result(name, column, mean, intervals, None)


def _networks(table: Table, config: RankConfig) -> tuple[Table, tuple[str, ...], dict[str, str]]:
    """The drawn architectures that have a network, the keys of these, and the others with the reason."""
    # By a hash, so that neither the order of the table nor its length decides who is drawn before whom.
    order = sorted(range(len(table)), key=lambda i: hashlib.sha256(table.archs[i].encode()).digest())
    good, keys, skipped = [], [], {}
    for i in order[: config.limit]:
        try:
            keys.append(SPACES[config.setting.space](table.archs[i]).key)
            good.append(i)
        except UninasError as error:
            skipped[table.archs[i]] = str(error)
    if len(good) < 2:
        first = f"; {next(iter(skipped.values()))}" if skipped else ""
        raise BenchmarkError(f"{config.table} has {len(good)} networks of {config.setting.space} to rank{first}")
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
            raise BenchmarkError(f"{ours[0]} is there without its {FILE}; give another folder, or --force")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f"{out} cannot be used: {error}") from error
    return Store(out / FILE, config.setting.fingerprint())


def _reasons(runs: Sequence[Sequence[Row]]) -> dict[str, int]:
    return dict(Counter(row.failure for run in runs for row in run if row.failure))
