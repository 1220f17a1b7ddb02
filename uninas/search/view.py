"""What a strategy sees of a search in progress: the space, the table of all evaluated networks, and how to draft new
ones. It reads the study, and never writes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import SpaceError
from ..genotype import Genotype
from .limits import BEYOND, Limits
from .objective import Objective
from .space.base import Proposal, Space
from .state import Statistics
from .strategies import Draft
from .study import Study
from .table import SEARCH, Table, latency_metric

PATIENCE = 100
"""Duplicates in a row after which a place counts as exhausted."""
PRIOR = 2
"""Degrees of freedom that the usual variance of differences counts for beside a pair's own."""


@dataclass
class SearchView:
    """See `strategies.base.View`."""

    space: Space
    limits: Limits
    objectives: tuple[Objective, ...]
    table: Table
    starts: tuple[int, ...]
    repeats: int
    max_repeats: int
    study: Study
    statistics: Statistics
    room: int = 1

    def __post_init__(self) -> None:
        self.drafted: set[str] = set()
        """Keys of this ask's drafts."""

    def genotype(self, candidate: int) -> Genotype:
        return self.study.genotype(candidate)

    def score(self, candidate: int) -> float:
        return self.objectives[0].score(self.table, candidate)

    def scores(self) -> np.ndarray:
        return self.objectives[0].scores(self.table)

    def too_slow(self, candidate: int) -> str | None:
        """Which limit on measured latency a candidate breaks, in words; None when it breaks none."""
        for name, bound in self.limits.latencies.items():
            seconds = self.table.mean(candidate, latency_metric(bound.shape))
            if seconds is None:
                return "its latency could not be measured"
            if BEYOND[name](seconds, bound.seconds):
                return f"{1000 * seconds:.3g} ms are beyond {name} = {bound}"
        return None

    def lead(self, candidate: int, other: int, phase: str = SEARCH) -> tuple[float, float]:
        """See `View.lead`.

        The error is that of paired differences; their variance is drawn towards what is usual between a candidate and
        its parent, since a few differences say little about it. The lead is minus infinity for one that has no score.
        """
        objective = self.objectives[0]
        if not self.table.is_complete(candidate):
            return -math.inf, 0.0
        mine, theirs = (objective.by_repeat(self.table, number, phase) for number in (candidate, other))
        common = min(len(mine), len(theirs))
        differences = mine[:common] - theirs[:common]
        differences = differences[~np.isnan(differences)]
        if not len(differences):
            return -math.inf, 0.0
        usual = self.statistics.paired_variance
        if self.study.candidate(candidate).parent != other:  # further apart, they share less
            usual = max(usual, 2 * self.statistics.noise_variance)
        around = float(((differences - differences.mean()) ** 2).sum()) + PRIOR * usual
        error = math.sqrt(around / (len(differences) - 1 + PRIOR) / len(differences))
        return float(differences.mean()), error

    def draft(
        self, propose: Callable[[], Proposal], parent: int | None = None, partner: int | None = None
    ) -> Draft | None:
        for _ in range(PATIENCE):
            try:
                proposal = propose()
            except SpaceError:
                break
            self.statistics.over_limits += proposal.refused
            key = proposal.genotype.key
            if key not in self.drafted and self.study.find(key) is None:
                self.drafted.add(key)
                return Draft(proposal.genotype, proposal.move, parent, partner)
            self.statistics.duplicates += 1
        self.statistics.dead_ends += 1
        return None


def observe(statistics: Statistics, objective: Objective, table: Table, candidate: int, parent: int | None) -> None:
    """Takes what the repeats of a candidate say about noise into the statistics."""
    mine = objective.by_repeat(table, candidate)
    statistics.noise = _with_spread(statistics.noise, mine)
    if parent is not None:
        theirs = objective.by_repeat(table, parent)
        common = min(len(mine), len(theirs))
        statistics.paired = _with_spread(statistics.paired, mine[:common] - theirs[:common])


def _with_spread(total: tuple[float, float], values: np.ndarray) -> tuple[float, float]:
    """The total with the squares around the mean of the values, and their degrees of freedom, added."""
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return total
    return total[0] + float(((values - values.mean()) ** 2).sum()), total[1] + len(values) - 1
