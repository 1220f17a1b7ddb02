"""The whole search: from settings to `study.sqlite`, `best.yaml` and `summary.json`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from ..errors import SpaceError, StudyError, UninasError
from ..files import write_text
from ..genotype import Genotype
from .config import MAY_GROW, SearchConfig
from .engine import Engine, Plan
from .executors import make_executor
from .final_evaluation import FinalEvaluation
from .limits import Limits
from .measurer import Measurer
from .progress import Progress, Speed
from .scoring import Scorer, derived_seed
from .space import Space
from .state import SearchState
from .study import FILE, NewCandidate, NewEvaluation, Study
from .study.database import has_begun
from .summary import Summary
from .table import SEARCH, Table, latency_metric
from .view import SearchView
from .warm_start import warm_candidates

BEST, SUMMARY, FRONT = "best.yaml", "summary.json", "front"
OF_RACE = ("best_by_score.yaml", "race.json")
"""What `uninas race` adds."""
DIGITS = 12
"""Of its key, in the name of a network's file."""
REPORT_EVERY = 0.1
"""Seconds between two calls of `on_progress`, at least."""


class Interrupted(UninasError):
    """A search that KeyboardInterrupt ended; its study can be resumed."""


def search(
    config: SearchConfig, on_progress: Callable[[Progress], None] | None = None, scorer: Scorer | None = None
) -> Summary:
    """Searches, and writes `study.sqlite`, `best.yaml` and `summary.json` in `config.out`.

    Args:
        on_progress: called as measurements come, several times a second at most.
        scorer: what measures, in place of the proxies of `config.scorer`: a frozen dataclass of JSON values at the top
            level of a module that workers can import. Resume with the same one.

    Raises:
        SpaceError: the space, a start or the limits cannot be used.
        StudyError: the folder cannot be written, holds a study already, or holds one with other settings.
        ProxyError: an unknown objective.
        ExecutorError: workers cannot be started or reached.
        Interrupted: by KeyboardInterrupt; the study is valid, and the message says how to go on.
    """
    space = Space.load(config.space)
    config = config.resolved(space)
    limits = config.limits_in(space)
    asked = _starts(config, space)
    fingerprint = config.fingerprint(space, {name: genotype.key for name, genotype in asked.items()})
    with _open(config, fingerprint) as study:
        current = _Search(config, space, limits, study, on_progress or (lambda _: None), scorer or config.scorer)
        try:
            current.begin(asked)
            current.engine.run()
            best, summary = current.finish()
        except KeyboardInterrupt:
            done = current.state.evaluated(study.count)
            raise Interrupted(
                f"interrupted after {done} of {config.iterations} networks; what was measured is in "
                f"{config.out / FILE}: the same command with --resume goes on from there"
            ) from None
        finally:
            current.close()
        summary.settings = {key: value for key, value in fingerprint.items() if key != "space"}
        summary.repaired = [name for name, genotype in asked.items() if limits.excess(limits.cost(genotype))]
        files = {BEST: best}
        files |= {f"{FRONT}/{found.key[:DIGITS]}.yaml": study.genotype(found.candidate) for found in summary.front}
        summary.seconds = study.seconds
        summary.files = [str(config.out / name) for name in (FILE, *files, SUMMARY)]
    if summary.front:
        (config.out / FRONT).mkdir(exist_ok=True)
    for name, genotype in files.items():
        genotype.save(config.out / name)
    for path in _front_files(config.out):
        if f"{FRONT}/{path.name}" not in files:
            path.unlink()  # no longer on the front of a search that went on
    write_text(config.out / SUMMARY, summary.model_dump_json(indent=1) + "\n", StudyError)
    return summary


class _Search:
    """The parts of one search, put together."""

    def __init__(
        self,
        config: SearchConfig,
        space: Space,
        limits: Limits,
        study: Study,
        notify: Callable[[Progress], None],
        scorer: Scorer,
    ) -> None:
        self.config, self.space, self.limits, self.study, self.notify = config, space, limits, study, notify
        self.state = SearchState.model_validate(study.meta("state") or {})
        objectives = config.objectives_of
        self.latencies = tuple(
            dict.fromkeys(
                [
                    *(m for o in objectives for m in o.latencies),
                    *(latency_metric(bound.shape) for bound in limits.latencies.values()),
                ]
            )
        )
        self.metrics = tuple(dict.fromkeys(metric for objective in objectives for metric in objective.measured))
        needed = (*self.metrics, *(metric for objective in objectives for metric in objective.latencies))
        self.table = _table(study, tuple(dict.fromkeys(needed)))
        self.executor = make_executor(scorer, config.workers, config.allowance, config.ray, config.gpus_per_worker)
        self.measurer = Measurer(study, self.table, self.executor, self._report)
        self.view = SearchView(
            space=space,
            limits=limits,
            objectives=objectives,
            table=self.table,
            starts=tuple(range(self.state.first)),
            repeats=config.repeats,
            max_repeats=config.max_repeats,
            study=study,
            statistics=self.state.statistics,
        )
        plan = Plan(config.iterations, config.generation, config.asynchronous, self.executor.capacity, config.seed)
        strategy = config.make_strategy(self.state.strategy)
        self.engine = Engine(plan, self.view, strategy, study, self.measurer, self.state, self.metrics, self.latencies)
        self.speed, self._reported = Speed(), -math.inf

    def begin(self, asked: dict[str, Genotype]) -> None:
        """Puts the starts, and what a warm start brings, into a study that has none."""
        if self.study.count:
            return
        rows: list[NewCandidate] = []
        for name, genotype in asked.items():
            rng = Random(derived_seed(self.config.seed, "repair", name))
            genotype = self.study.intern(self.space.repair(genotype, self.limits, rng))
            if genotype.key not in {row.genotype.key for row in rows}:
                cost = self.limits.cost(genotype)
                rows.append(NewCandidate(len(rows), genotype, None, None, None, 0, cost.params, cost.macs, None))
        repeats = self.config.max_repeats
        evaluations = [NewEvaluation(row.id, 0, row.id, SEARCH, 0, repeats) for row in rows]
        self.state.starts = self.state.first = len(rows)
        warm = warm_candidates(self.config, self.study, self.space, self.limits, self.metrics, rows)
        self.state.first += len(warm)
        if self.latencies:  # measured on this machine, as those of all others are
            evaluations += [NewEvaluation(w.row.id, 0, w.row.id, SEARCH, len(w.measurements), 0) for w in warm]
        self.state.evaluations = len(evaluations)
        self.view.starts = tuple(range(self.state.first))
        brought = [(f.row.id, SEARCH, repeat, found) for f in warm for repeat, found in f.measurements.items()]
        everyone = [*rows, *(found.row for found in warm)]
        self.study.admit(everyone, evaluations, self.state.model_dump(mode="json"), brought)
        for row in everyone:
            self.table.add(row.id, row.params, row.macs)
        for number, phase, repeat, measurements in brought:
            for measurement in measurements:
                self.table.record(number, measurement.metric, phase, repeat, measurement.value)
            self.table.measured(number)

    def finish(self) -> tuple[Genotype, Summary]:
        """The competition of the leaders, and the last word."""
        parts = (self.config, self.view, self.study, self.measurer, self.state)
        return FinalEvaluation(*parts, self.metrics, self.latencies).run()

    def close(self) -> None:
        """Ends the workers."""
        self.executor.close()

    def _report(self) -> None:
        """Tells whoever watches how far the search is."""
        now = time.monotonic()
        if now - self._reported < REPORT_EVERY:
            return
        self._reported = now
        state, statistics = self.state, self.state.statistics
        done = state.evaluated(self.study.count)
        scores = self.view.scores()
        best = int(scores.argmax())
        best_known, start = scores[best] > -math.inf, scores[: state.starts].max()
        per_hour = self.speed.per_hour(done)
        params, macs = self.table.cost(best)
        self.notify(
            Progress(
                phase=self.measurer.phase,
                done=done if self.measurer.phase == SEARCH else self.measurer.done,
                total=self.config.iterations if self.measurer.phase == SEARCH else self.measurer.total,
                best=float(scores[best]) if best_known else None,
                best_params=params if best_known else None,
                best_macs=macs if best_known else None,
                start=float(start) if start > -math.inf else None,
                duplicates=statistics.duplicates,
                over_limits=statistics.over_limits,
                too_slow=statistics.too_slow,
                failed=self.study.failed,
                per_hour=per_hour,
                seconds_left=3600 * (self.config.iterations - done) / per_hour if per_hour else None,
            )
        )


def _table(study: Study, metrics: tuple[str, ...]) -> Table:
    """The columns of all that a study holds."""
    table = Table(metrics)
    for row in study.rows():
        table.add(row.id, row.params, row.macs)
        if row.refused is not None:
            table.exclude(row.id)
    table.load(study.all_measurements())
    return table


def _starts(config: SearchConfig, space: Space) -> dict[str, Genotype]:
    """The networks to begin at, by name: starts of the space, or genotype files inside the space."""
    found = {}
    for name in config.start or space.starts:
        if name not in space.starts and Path(name).is_file():
            genotype = Genotype.load(name)
            space.check(genotype, name)
            found[name] = genotype
        else:
            found[name] = space.start(name)
    if not found:
        raise SpaceError(f"space {space.name!r} has no starts; give --start a genotype file")
    return found


def _open(config: SearchConfig, fingerprint: dict) -> Study:
    if config.resume:
        return Study.resume(config.out, fingerprint, MAY_GROW)
    leftovers = [name for name in (BEST, SUMMARY, *OF_RACE) if (config.out / name).exists()]
    if leftovers and not config.force and not has_begun(config.out / FILE):
        raise StudyError(f"{config.out / leftovers[0]} is there already; --force replaces it")
    study = Study.create(config.out, fingerprint, config.force)
    for path in [config.out / name for name in leftovers] + _front_files(config.out):
        path.unlink()  # of the study that was replaced
    return study


def _front_files(out: Path) -> list[Path]:
    """The networks of a front that a search wrote; others in their folder are the user's own."""
    return sorted((out / FRONT).glob(f"{'[0-9a-f]' * DIGITS}.yaml"))
