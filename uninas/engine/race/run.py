"""Runs a race, and writes every training into the study that the network is from, beside its scores.

A result is a measurement of the phase "race" whose metric names what was measured, the protocol and the epochs:
`top1@imagenet_quick:3`. Who goes on follows from what is stored, so a race that was killed continues where it was. Only
trainings that circumstances failed, such as a limit on time, are tried again by the next race.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import GenotypeError, StudyError
from ...files import make_folder, replacing
from ...genotype import Genotype
from ...search.executors import Task, make_executor
from ...search.measurement import Measurement
from ...search.run import BEST, OF_RACE
from ...search.scoring import Scorer
from ...search.study import Study
from .. import protocol as protocols
from ..errors import EngineError
from ..settings import Classification, Detection, Segmentation
from ..training_scorer import TrainingScorer
from .claim import PHASE, claim
from .config import RaceConfig
from .field import beginners
from .halving import Runner, mean, ranking, undecided

BY_SCORE, REPORT = OF_RACE


@dataclass(frozen=True)
class Standing:
    """A network in a round."""

    study: str
    candidate: int
    key: str
    params: int
    macs: int
    is_start: bool
    """Whether the search began at it."""
    results: list[float | None]
    """By seed; None for a training that failed."""
    reason: str | None
    """Why one failed."""

    @property
    def mean(self) -> float | None:
        """Over the seeds; None when one failed."""
        found = mean(self.results)
        return found if math.isfinite(found) else None


@dataclass(frozen=True)
class RaceResult:
    """How a race went: `race.json`."""

    metric: str
    rounds: dict[int, list[Standing]]
    """By epochs, the best first."""
    trainings: int
    files: list[str]

    @property
    def winner(self) -> Standing:
        """The best of the last round."""
        return list(self.rounds.values())[-1][0]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        rounds = {
            str(epochs): [{**asdict(standing), "mean": standing.mean} for standing in standings]
            for epochs, standings in self.rounds.items()
        }
        return {"metric": self.metric, "rounds": rounds, "trainings": self.trainings, "files": self.files}


@dataclass(frozen=True)
class Progress:
    """How far a race is: trainings of this round."""

    epochs: int
    runners: int
    done: int
    total: int


def race(
    config: RaceConfig,
    out: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    scorer: Callable[[int], Scorer] | None = None,
) -> RaceResult:
    """Races the best networks of studies; writes `best.yaml` (the winner) and `race.json`.

    Args:
        out: where to write them; the study's folder, where there is one study. A `best.yaml` that the search left there
            is kept as `best_by_score.yaml`.
        scorer: what trains for a number of epochs, in place of the protocol.

    Raises:
        StudyError: a study cannot be read or is in use, or holds a race by another form of the protocol, with another
            seed or on other data; or, before any training, `out` cannot be made.
        EngineError: no network could be trained; DataError: the data do not fit the protocol.
    """
    if out is None and len(config.studies) > 1:
        raise StudyError("several studies race together: say with --out where best.yaml is to be written")
    plan = protocols.load(config.protocol, config.changes)
    if scorer is None:
        from ..check import check

        check(plan, config.data_root)
    with ExitStack() as stack:
        studies = [stack.enter_context(_opened(path)) for path in config.studies]
        course = _Race(config, plan, studies, on_progress or (lambda _: None), scorer)
        course.claim()
        folder = out or next(iter(config.studies))
        make_folder(folder, StudyError)
        rounds = course.run()
        best = rounds[max(rounds)][0]
        genotype = course.genotype(best)
        described = {epochs: [course.describe(r, epochs) for r in runners] for epochs, runners in rounds.items()}
    files = [str(folder / name) for name in (BEST, REPORT)]
    result = RaceResult(course.metric(config.rungs[-1]), described, course.trainings, files)
    with replacing(folder / REPORT, StudyError) as draft:
        draft.write_text(json.dumps(result.to_dict(), indent=1) + "\n", encoding="utf-8")
        _clear_best(folder)
    genotype.save(folder / BEST)
    return result


class _Race:
    def __init__(
        self,
        config: RaceConfig,
        plan: Classification | Detection | Segmentation,
        studies: list[Study],
        notify: Callable[[Progress], None],
        scorer: Callable[[int], Scorer] | None,
    ) -> None:
        self.config, self.plan, self.studies, self.notify = config, plan, studies, notify
        self.scorer = scorer or self._training
        self.measures = _metric_of(plan)
        self.trainings = 0
        self._again: set[tuple[Runner, int, str]] = set()
        """Runner, repeat and metric of what circumstances had failed when the race began."""

    def claim(self) -> None:
        """Notes in each study how its results are made, and what is to be trained again; see `claim`."""
        for number, study in enumerate(self.studies):
            failed = claim(study, self.config, self.plan, self.measures, self.scorer(self.config.rungs[0]))
            self._again |= {((number, row.candidate), row.repeat, row.metric) for row in failed}

    def run(self) -> dict[int, list[Runner]]:
        """The runners of each round by epochs, best first. Raises EngineError when none could be trained."""
        runners, rounds = self._field(), {}
        for rung, epochs in enumerate(self.config.rungs):
            keep = self.config.survivors(rung, len(runners))
            results = self._round(runners, epochs, keep)
            order = ranking(results)
            if not math.isfinite(mean(results[order[0]])):
                raise EngineError(f"none of {len(order)} networks could be trained: {self._why(order[0], epochs)}")
            rounds[epochs] = order
            runners = [runner for runner in order[:keep] if math.isfinite(mean(results[runner]))]
        return rounds

    def metric(self, epochs: int) -> str:
        """What a result is called in a study."""
        return f"{self.measures}@{self.plan.name}:{epochs}"

    def genotype(self, runner: Runner) -> Genotype:
        """The network of a runner."""
        study, candidate = runner
        return self.studies[study].genotype(candidate)

    def describe(self, runner: Runner, epochs: int) -> Standing:
        """A runner in a round."""
        study = self.studies[runner[0]]
        row = study.candidate(runner[1])
        results = self._results(runner, epochs)
        is_start = row.id < (study.meta("state") or {}).get("starts", 0)
        name, why = str(self.config.studies[runner[0]]), self._why(runner, epochs)
        return Standing(name, row.id, row.key, row.params, row.macs, is_start, results, why)

    def _field(self) -> list[Runner]:
        """Who begins: an equal share from each study, each network once. Raises StudyError: fewer than two."""
        share = -(-self.config.top // len(self.studies))
        per_lineage = self.config.per_lineage or max(1, share // 4)
        found: dict[str, Runner] = {}
        for number, study in enumerate(self.studies):
            for candidate in beginners(study, share, per_lineage):
                found.setdefault(study.candidate(candidate).key, (number, candidate))
        if len(found) < 2:
            raise StudyError(f"{self.config.studies[0]}: has {len(found)} networks with a score; a race needs two")
        return list(found.values())

    def _round(self, runners: list[Runner], epochs: int, keep: int) -> Mapping[Runner, list[float | None]]:
        """What each runner reached; those near the line are trained again until it is clear or enough."""
        wanted = {runner: max(1, len(self._results(runner, epochs))) for runner in runners}
        executor = make_executor(
            self.scorer(epochs),
            self.config.workers,
            self.config.allowance,
            self.config.ray,
            self.config.gpus_per_worker,
        )
        try:
            while True:
                self._train(executor, wanted, epochs)
                results = {runner: self._results(runner, epochs) for runner in runners}
                again = undecided(results, keep, self.config.repeats, self._prior(results))
                if not again:
                    return results
                for runner in again:
                    wanted[runner] += 1
        finally:
            executor.close()

    def _train(self, executor: Any, wanted: Mapping[Runner, int], epochs: int) -> None:
        """Trains what is missing of the wanted seeds."""
        tasks: dict[int, tuple[Runner, int]] = {}
        for runner, count in wanted.items():
            study, candidate = runner
            for repeat in range(count):
                if self._stored(runner, repeat, epochs) is None:
                    number = len(tasks)
                    tasks[number] = (runner, repeat)
                    genotype = self.studies[study].genotype(candidate)
                    executor.submit(Task(number, genotype, PHASE, repeat, (self.measures,)))
        for done, (number, found) in enumerate(executor.results(), start=1):
            runner, repeat = tasks[number]
            study, candidate = runner
            measured = [Measurement(self.metric(epochs), m.value, m.state, m.reason, m.seed, m.seconds) for m in found]
            place = (runner, repeat, self.metric(epochs))
            self.studies[study].record(candidate, PHASE, repeat, measured, again=place in self._again)
            self._again.discard(place)
            self.trainings += 1
            self.notify(Progress(epochs, len(wanted), done, len(tasks)))

    def _results(self, runner: Runner, epochs: int) -> list[float | None]:
        """What is stored of a runner in a round, by seed, up to the first that is missing."""
        found = []
        for repeat in range(self.config.repeats):
            measured = self._stored(runner, repeat, epochs)
            if measured is None:
                break
            found.append(measured.value)
        return found

    def _stored(self, runner: Runner, repeat: int, epochs: int) -> Measurement | None:
        """What is stored of a training; None where it has to be done, or done again."""
        if (runner, repeat, self.metric(epochs)) in self._again:
            return None
        study, candidate = runner
        return self.studies[study].measured(candidate, PHASE, repeat).get(self.metric(epochs))

    def _why(self, runner: Runner, epochs: int) -> str | None:
        for repeat in range(self.config.repeats):
            found = self._stored(runner, repeat, epochs)
            if found is not None and found.reason:
                return found.reason
        return None

    def _prior(self, results: Mapping[Runner, list[float | None]]) -> float:
        """What the deviation between seeds is taken for before any is known: a hundredth of a typical result."""
        known = [value for values in results.values() for value in values if value is not None]
        return 0.01 * max(known, default=1.0)

    def _training(self, epochs: int) -> Scorer:
        plan = self.plan.schedule
        schedule = {"epochs": epochs, "warmup_epochs": min(plan.warmup_epochs, epochs // 3)}
        if plan.kind == "multistep":  # a short training has no room for the milestones of a long one
            schedule |= {"kind": "cosine", "milestones": []}
        schedule = {**self.config.changes.get("schedule", {}), **schedule}
        changes = {**self.config.changes, "schedule": schedule, "val_every": epochs}
        root = str(self.config.data_root)
        return TrainingScorer(self.config.protocol, root, json.dumps(changes), self.config.seed)


def _metric_of(plan: Classification | Detection | Segmentation) -> str:
    """The metric by which the protocol's task chooses its best checkpoint."""
    from ..config import classification, dense

    return classification.best_metric(plan) if isinstance(plan, Classification) else dense.best_metric(plan)


def _opened(path: Path) -> Study:
    """A study that can be written."""
    with Study.open(path) as reader:
        settings = reader.settings
    return Study.resume(path, settings)


def _clear_best(folder: Path) -> None:
    """What a search found stays, under another name. What an earlier race found goes: it is in that race's study, and
    beside a report of another winner it would be taken for a search's."""
    best = folder / BEST
    try:
        if best.exists():
            best.unlink() if _is_of_race(folder) else best.replace(folder / BY_SCORE)
    except OSError as error:
        raise StudyError(f"{best}: cannot be renamed: {error.strerror or error}") from None


def _is_of_race(folder: Path) -> bool:
    """Whether `best.yaml` is the winner that `race.json` names."""
    try:
        rounds = json.loads((folder / REPORT).read_text(encoding="utf-8"))["rounds"]
        return list(rounds.values())[-1][0]["key"] == Genotype.load(folder / BEST).key
    except (OSError, ValueError, LookupError, TypeError, AttributeError, GenotypeError):
        return False
