"""The loop that all strategies share: ask, measure, tell - and every step is stored before the next one.

    strategy.ask  ->  candidates and evaluations   one transaction, with the state behind it
    executor      ->  measurements                 one transaction each, as they are done
    strategy.tell <-  complete evaluations         one transaction, with the state behind it

What an ask gives depends only on the stored state and on its number, and a measurement on nothing but the candidate. A
search that was killed therefore goes on exactly as if it had not been: what was asked and not told is measured where
measurements are missing, and told. Synchronous searches tell all of an ask at once, in the order it was asked, so that
workers change nothing; asynchronous ones tell each evaluation when it is complete, and the study holds that order. No
strategy is asked before all of the starts are measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from ..errors import StudyError
from .limits import BEYOND
from .measurer import Measurer
from .scoring import derived_seed
from .state import SearchState
from .strategies import Draft, Result, Strategy, Wanted
from .study import Evaluation, NewCandidate, NewEvaluation, Study
from .table import LATENCY, SEARCH, latency_metric
from .view import SearchView, observe

EMPTY_ASKS = 10
"""Asks in a row that find nothing new, before the search ends."""
OUT_OF_REACH = 100
"""Networks in a row that are beyond a limit on latency, before the search ends; more where its iterations are."""


@dataclass(frozen=True)
class Plan:
    """How much is to be done, and how."""

    iterations: int
    """New networks to evaluate, excluding those over a limit on latency."""
    generation: int
    """Networks of one ask, where results are told together."""
    asynchronous: bool
    capacity: int
    """Evaluations under way at a time, where results are told one by one."""
    seed: int


class Engine:
    """A search in progress.

    Args:
        metrics: what proxies measure of every candidate.
        latencies: metrics of latency, measured before anything else.
    """

    def __init__(
        self,
        plan: Plan,
        view: SearchView,
        strategy: Strategy,
        study: Study,
        measurer: Measurer,
        state: SearchState,
        metrics: Sequence[str],
        latencies: Sequence[str],
    ) -> None:
        self.plan, self.view, self.strategy = plan, view, strategy
        self.study, self.measurer, self.state = study, measurer, state
        self.metrics, self.latencies = tuple(metrics), tuple(latencies)
        self._under_way: dict[int, tuple[Evaluation, set[int]]] = {}  # by id, with the numbers of the open tasks
        self._complete: list[Evaluation] = []

    def run(self) -> None:
        """Goes on from the stored state until the iterations are used up or nothing new is found."""
        self._start(self.study.pending())
        self._step()
        for number in self.measurer.results():
            for evaluation, tasks in list(self._under_way.values()):
                if number in tasks:
                    tasks.remove(number)
                    if not tasks:
                        self._advance(evaluation)
            self._step()

    def _step(self) -> None:
        """Tells what can be told and asks for more, until there is something to wait for or nothing left to do."""
        while True:
            if self._under_way and (self._begins or not self.plan.asynchronous):
                return
            if self._complete:
                self._tell()
            room = self.plan.capacity - len(self._under_way) if self.plan.asynchronous else self.plan.generation
            room = min(room, self.plan.iterations - self.state.evaluated(self.study.count))
            if room < 1 or self.state.stopped or self._out_of_reach() or not self._ask(room):
                return

    @property
    def _begins(self) -> bool:
        """Whether something of the beginning is still being measured."""
        return any(evaluation.ask == 0 for evaluation, _ in self._under_way.values())

    def _out_of_reach(self) -> bool:
        """Ends the search when nothing meets a limit on latency, as far as so many networks in a row tell."""
        count = self.state.statistics.too_slow_in_a_row
        if count < max(OUT_OF_REACH, self.plan.iterations):
            return False
        if self._under_way:  # something among this may meet it
            return True
        why = f"{count} networks in a row were beyond a limit on latency: {self._nearest()}"
        if not np.isfinite(self.view.scores()).any():
            raise StudyError(f"{self.study.path}: no network has a score: {why}; begin a search with a wider limit")
        self.state.stopped = why
        self.study.save(self._stored())
        return True

    def _nearest(self) -> str:
        """The limits on latency that networks break, and what the nearest of these took."""
        found = []
        refused = [row.id for row in self.study.rows() if row.refused is not None]
        for name, bound in self.view.limits.latencies.items():
            latencies = (self.view.table.mean(candidate, latency_metric(bound.shape)) for candidate in refused)
            beyond = [seconds for seconds in latencies if seconds is not None and BEYOND[name](seconds, bound.seconds)]
            if beyond:
                kind, nearest = ("fastest", min(beyond)) if name == "max_latency" else ("slowest", max(beyond))
                found.append(f"the {kind} beyond {name} = {bound} took {1000 * nearest:.3g} ms")
        return ", ".join(found) or "none could be measured"

    def _ask(self, room: int) -> bool:
        """Asks for at most `room` new networks; False when nothing was asked for."""
        self.view.room = room
        for _ in range(EMPTY_ASKS):
            self.view.drafted.clear()
            rng = Random(derived_seed(self.plan.seed, "ask", self.state.asks))
            wanted = self.strategy.ask(self.view, rng)
            self.state.asks += 1
            if wanted:
                self._admit(wanted)
                return True
            if self._under_way:  # what comes of it may open new ways
                return False
        self.state.stopped = f"{EMPTY_ASKS} times in a row the strategy found nothing that was not evaluated already"
        self.study.save(self._stored())
        return False

    def _admit(self, wanted: Iterable[Wanted]) -> None:
        """Stores what a strategy asked for, and starts it."""
        ask = self.state.asks - 1
        candidates: list[NewCandidate] = []
        evaluations: list[NewEvaluation] = []
        for place, want in enumerate(wanted):
            number, known = want.candidate, 0
            if isinstance(number, Draft):
                candidates.append(self._candidate(number, self.study.count + len(candidates), ask))
                number = candidates[-1].id
            else:
                known = min(self.view.table.repeats(number), want.repeats)
            identity = self.state.evaluations + place
            evaluations.append(NewEvaluation(identity, ask, number, SEARCH, known, want.repeats - known))
        self.state.evaluations += len(evaluations)
        self.study.admit(candidates, evaluations, self._stored())
        for candidate in candidates:
            self.view.table.add(candidate.id, candidate.params, candidate.macs)
        self._start(evaluations)

    def _candidate(self, draft: Draft, number: int, ask: int) -> NewCandidate:
        genotype = self.study.intern(draft.genotype)
        cost = self.view.limits.cost(genotype)
        return NewCandidate(number, genotype, draft.parent, draft.partner, draft.move, ask, cost.params, cost.macs)

    def _start(self, evaluations: Sequence[Evaluation]) -> None:
        """Starts what is missing of evaluations, the longest first, so that workers end together."""
        for evaluation in sorted(evaluations, key=lambda e: (-self.view.table.cost(e.candidate)[1], e.id)):
            self._advance(evaluation)

    def _advance(self, evaluation: Evaluation) -> None:
        """Starts what comes next for an evaluation: latencies, then, if these are within the limits, scores."""
        candidate = evaluation.candidate
        tasks = self.measurer.request(candidate, LATENCY, [0], self.latencies)
        if not tasks and not self._refused(candidate):
            repeats = range(evaluation.first_repeat, evaluation.first_repeat + evaluation.repeats)
            tasks = self.measurer.request(candidate, evaluation.phase, repeats, self.metrics)
        if tasks:
            self._under_way[evaluation.id] = (evaluation, tasks)
        else:
            self._under_way.pop(evaluation.id, None)
            self._complete.append(evaluation)

    def _refused(self, candidate: int) -> bool:
        """Whether a candidate is beyond a limit on latency, or its latency could not be measured."""
        if self._is_refused(candidate):
            return True
        why = self.view.too_slow(candidate)
        if why is None:
            return False
        self.study.refuse(candidate, why)
        self.view.table.exclude(candidate)
        return True

    def _tell(self) -> None:
        """Tells the strategy what is complete, in the order it was asked for, and stores what it makes of that."""
        complete, self._complete = sorted(self._complete, key=lambda evaluation: evaluation.id), []
        table, statistics = self.view.table, self.state.statistics
        results = []
        for evaluation in complete:
            row = self.study.candidate(evaluation.candidate)
            scored = table.is_complete(row.id)
            refused = row.refused is not None and row.id >= self.state.first
            statistics.too_slow += refused
            statistics.too_slow_in_a_row = 0 if scored else statistics.too_slow_in_a_row + refused
            if scored:
                observe(statistics, self.view.objectives[0], table, row.id, row.parent)
            if evaluation.ask > 0:
                results.append(Result(row.id, scored))
        starts = range(self.state.starts)
        if complete[0].ask == 0 and not any(table.is_complete(start) or self._is_refused(start) for start in starts):
            raise StudyError(f"no start can be scored by {self.view.objectives[0].name}: {self._why(starts[0])}")
        if results:
            self.strategy.tell(self.view, results)
        self.study.tell([evaluation.id for evaluation in complete], self._stored())

    def _is_refused(self, candidate: int) -> bool:
        """Whether a candidate is known to be beyond a limit on latency. A start may be: what is made of it need not."""
        return self.study.candidate(candidate).refused is not None

    def _why(self, candidate: int) -> str:
        """Why a candidate has no score."""
        measured = self.study.measured(candidate, SEARCH, 0).values()
        return next((found.reason for found in measured if found.reason), "nothing was measured")

    def _stored(self) -> dict[str, Any]:
        self.state.strategy = self.strategy.state.model_dump(mode="json")
        return self.state.model_dump(mode="json")
