"""The end of a search: the leaders compete on new seeds, and the winner is measured beside the start on newer ones.

The best of many noisy scores is mostly luck, so a leader's score from the search is too high on average, and so, a
little, is that of the best of a few leaders. What the summary reports comes from seeds that no decision has seen. Then
the winner is tidied: what changes neither what it computes nor, beyond its error, its score is taken out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev, stdev
from typing import Any

import numpy as np

from ..genotype import Genotype
from .config import SearchConfig
from .measurer import Measurer
from .objective import Objective
from .state import SearchState
from .strategies.pareto import front, hypervolume
from .study import NewCandidate, Study
from .summary import Found, Member, Summary, Tidied
from .table import COST_METRICS, FRESH, LATENCY, LEADERS, Table
from .tidy import Removal, tidy
from .view import SearchView


@dataclass
class FinalEvaluation:
    """What the end of a search needs of it."""

    config: SearchConfig
    view: SearchView
    study: Study
    measurer: Measurer
    state: SearchState
    metrics: Sequence[str]
    latencies: Sequence[str]

    def run(self) -> tuple[Genotype, Summary]:
        """The best network, and the summary (without times, files, and what was repaired)."""
        config = self.config
        start = max(range(self.state.starts), key=self.view.score)
        leaders = self.leaders(start)
        self.measurer.measure(leaders, LEADERS, config.leader_repeats, self.metrics)
        ranked = sorted(leaders, key=lambda candidate: (-self._mean(candidate, LEADERS), candidate))
        best = next((candidate for candidate in ranked if self._table.is_complete(candidate)), start)
        self.measurer.measure((best, start), FRESH, config.fresh_repeats, self.metrics)
        if self._table.is_complete(start) and not self._mean(best, FRESH) > self._mean(start, FRESH):
            best = start
        removals: list[Removal] = []
        if config.tidy and best != start and math.isfinite(self._mean(best, FRESH)):
            winner, (best, removals) = best, self._tidied(best)
            self._note(winner, best)
        gain, gain_se = self._gain(best, start) if best != start else (0.0, 0.0)
        scores = self.view.scores()
        known = [float(score) for score in scores if math.isfinite(score)]
        noise = self.state.statistics.noise_variance
        summary = Summary(
            best=self._found(best, FRESH),
            start=self._found(start, FRESH),
            gain=gain,
            gain_se=gain_se,
            members=[self._member(metric, best, start) for metric in dict.fromkeys(self._objective.metrics)],
            leaders=[self._found(candidate, LEADERS) for candidate in ranked],
            tidied=[Tidied(where=r.where, what=r.what, params=r.params, macs=r.macs) for r in removals],
            evaluated=self.evaluated,
            at_the_beginning=self.state.first,
            duplicates=self.state.statistics.duplicates,
            over_limits=self.state.statistics.over_limits,
            too_slow=self.state.statistics.too_slow,
            failed=self.study.failed,
            noise=math.sqrt(noise) if noise else None,
            spread=pstdev(known) if len(known) > 1 else None,
            seconds=0.0,
            stopped=self.state.stopped,
            limits=self.view.limits.model_dump(mode="json"),
            settings={},
            seeds={"run": config.seed, **{p: config.scorer.seed_of(p, 0) for p in ("search", LEADERS, FRESH)}},
        )
        if len(self.view.objectives) > 1:
            summary.front, summary.hypervolume = self._front()
        return self.study.genotype(best), summary

    @property
    def _objective(self) -> Objective:
        return self.view.objectives[0]

    @property
    def _table(self) -> Table:
        return self.view.table

    @property
    def evaluated(self) -> int:
        """New networks that were evaluated."""
        return self.state.evaluated(self.study.count)

    def leaders(self, start: int) -> list[int]:
        """The candidates with the highest scores, and the best start."""
        scores = self.view.scores()
        order = np.argsort(-scores, kind="stable")[: self.config.leaders]
        found = [int(candidate) for candidate in order if math.isfinite(scores[candidate])]
        return found if start in found else [*found, start]

    def _by_repeat(self, candidate: int, phase: str) -> np.ndarray:
        """The objective on each repeat of a phase that counts: an earlier end of the search may have measured more."""
        return self._objective.by_repeat(self._table, candidate, phase)[: self._repeats.get(phase)]

    @property
    def _repeats(self) -> dict[str, int]:
        return {LEADERS: self.config.leader_repeats, FRESH: self.config.fresh_repeats}

    def _mean(self, candidate: int, phase: str) -> float:
        """Mean score of a phase; minus infinity when one repeat has none."""
        mean = _mean_or_none(self._by_repeat(candidate, phase))
        return -math.inf if mean is None else mean

    def _gain(self, candidate: int, other: int) -> tuple[float | None, float | None]:
        """Mean lead on the fresh seeds and its standard error."""
        return _lead(self._by_repeat(candidate, FRESH), self._by_repeat(other, FRESH))

    def _member(self, metric: str, best: int, start: int) -> Member:
        repeats = self._repeats[FRESH]
        mine, theirs = (self._table.values(number, metric, FRESH)[:repeats] for number in (best, start))
        sign = self._objective.signs[self._objective.metrics.index(metric)]
        lead, error = _lead(sign * mine, sign * theirs)
        return Member(
            metric=metric,
            best=_mean_or_none(mine),
            start=_mean_or_none(theirs),
            lead=lead,
            lead_se=0.0 if metric in COST_METRICS else error,
        )

    def _found(self, candidate: int, phase: str) -> Found:
        row = self.study.candidate(candidate)
        values = self._by_repeat(candidate, phase)
        complete = len(values) > 1 and not np.isnan(values).any()
        score, error = mean_and_error(values) if complete else (None, None)
        search_score = self.view.score(candidate)
        latencies = {metric: self._table.mean(candidate, metric) for metric in self.latencies}
        return Found(
            candidate=candidate,
            key=row.key,
            score=score,
            score_se=error,
            params=row.params,
            macs=row.macs,
            latency={metric: seconds for metric, seconds in latencies.items() if seconds is not None},
            search_score=search_score if math.isfinite(search_score) else None,
            parent=self.study.candidate(row.parent).key if row.parent is not None else None,
            move=row.move,
        )

    def _tidied(self, best: int) -> tuple[int, list[Removal]]:
        """The winner without what it does not need, as a candidate of its own; itself if it needs everything."""
        mean, error = mean_and_error(self._by_repeat(best, FRESH))
        least = mean - error
        limits = self.view.limits

        def keeps(genotype: Genotype) -> bool:
            if limits.excess(limits.cost(genotype)):
                return False
            candidate = self._admit_tidy(genotype, best)
            self.measurer.measure([candidate], FRESH, self.config.fresh_repeats, self.metrics)
            return self._mean(candidate, FRESH) >= least

        size = self.config.limits.input_size
        genotype, removals = tidy(self.study.genotype(best), keeps=keeps, size=size)
        found = self.study.find(genotype.key)
        if not removals or found is None:
            return best, []
        self.measurer.measure([found], LATENCY, 1, self.latencies)
        return (best, []) if self.view.too_slow(found) else (found, removals)

    def _admit_tidy(self, genotype: Genotype, winner: int) -> int:
        """A tidier winner as a candidate; the one that is there already, in a search that goes on."""
        known = self.study.find(genotype.key)
        if known is not None:
            return known
        genotype, number = self.study.intern(genotype), self.study.count
        cost = self.view.limits.cost(genotype)
        origin = f"tidied {winner}"
        ask = self.state.asks - 1
        row = NewCandidate(number, genotype, winner, None, "tidy", ask, cost.params, cost.macs, origin)
        self.state.tidied += 1
        self.study.admit([row], [], self.state.model_dump(mode="json"))
        self._table.add(number, cost.params, cost.macs)
        return number

    def _note(self, winner: int, tidied: int) -> None:
        """Stores which tidier form of a winner was kept: others were tried, and are candidates too."""
        self.state.tidy_forms.pop(winner, None)
        if tidied != winner:
            self.state.tidy_forms[winner] = tidied
        self.study.save(self.state.model_dump(mode="json"))

    def _front(self) -> tuple[list[Found], float | None]:
        """The networks that nothing beats in all objectives, and their hypervolume."""
        columns = np.stack([objective.scores(self._table) for objective in self.view.objectives], axis=1)
        rows = np.flatnonzero(np.isfinite(columns).all(axis=1))
        points = columns[rows]
        low, high = points.min(axis=0), points.max(axis=0)
        scaled = (points - low) / np.where(high > low, high - low, 1.0)
        members = front(points)
        found = [self._found(int(row), "search") for row in rows[members]]
        return found, hypervolume(scaled[members], np.zeros(points.shape[1]))


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean and its standard error; the error is 0 for a single value."""
    found: list[Any] = [float(value) for value in values]
    return fmean(found), stdev(found) / math.sqrt(len(found)) if len(found) > 1 else 0.0


def _lead(mine: np.ndarray, theirs: np.ndarray) -> tuple[float | None, float | None]:
    """Mean lead and its standard error, from differences repeat by repeat; None where a repeat has no value."""
    common = min(len(mine), len(theirs))  # costs, the same in every repeat, may have fewer entries
    differences = mine[:common] - theirs[:common]
    return mean_and_error(differences) if common and not np.isnan(differences).any() else (None, None)


def _mean_or_none(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) and not np.isnan(values).any() else None
