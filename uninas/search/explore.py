"""The loop that all strategies share: propose a generation, score it, decide, and store every step.

What happens in a generation depends only on the stored state at its start and on the scores, which depend on nothing
but the candidates. A search that was killed therefore goes on exactly as if it had not been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from statistics import fmean, variance
from typing import Any, Protocol

from ..errors import SpaceError, StudyError
from .config import SearchConfig
from .constraints import Limits
from .executors import Executor, Task
from .propose import Proposal
from .schema import Candidate
from .scoring import Phase
from .space import Space
from .study import Study
from .summary import Progress

START = 0
"""Number of the start among the candidates."""
PRIOR = 2
"""Degrees of freedom that the usual variance of differences counts for beside a candidate's own."""
PATIENCE = 1000
"""Duplicates in a row after which the neighbourhood counts as exhausted."""


@dataclass
class State:
    """All that the search carries from one generation to the next."""

    random: list[Any]
    """State of the random number generator (`Random.getstate`)."""
    generation: int = 1
    proposed: bool = False
    """Whether the candidates of `generation` are in the study."""
    current: int = START
    """The candidate that the walk stands at."""
    trail: list[int] = field(default_factory=list)
    """The candidates that the walk moved on to, in order."""
    noise: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Sum of squares and degrees of freedom of scores around the means of their candidates."""
    paired: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """The same of the differences between a candidate's scores and its parent's, repeat by repeat."""
    duplicates: int = 0
    rejected: int = 0
    accepted: int = 0
    stopped: str | None = None
    """Why the search ends early."""

    def rng(self) -> Random:
        """A generator that goes on where the stored one was."""
        version, words, gauss = self.random
        rng = Random()
        rng.setstate((version, tuple(words), gauss))
        return rng

    @property
    def deviation(self) -> float:
        """Standard deviation of a score between initialisations of one network; 0 while unknown."""
        squares, freedom = self.noise
        return math.sqrt(squares / freedom) if freedom else 0.0


class Strategy(Protocol):
    """What distinguishes one search from another."""

    def propose(self, search: Search, rng: Random) -> tuple[Proposal, int]:
        """A proposal and the number of the candidate it was made from. Raises SpaceError when there is none."""
        ...

    def decide(self, search: Search, children: Sequence[int]) -> None:
        """Has the candidates of a new generation scored, and changes `search.state` by what they are worth."""
        ...

    def leaders(self, search: Search) -> list[int]:
        """The candidates that may be the best, for the competition at the end."""
        ...


@dataclass
class Search:
    """A search in progress: what strategies see and use."""

    config: SearchConfig
    space: Space
    limits: Limits
    study: Study
    executor: Executor
    state: State
    notify: Callable[[Progress], None]

    def explore(self, strategy: Strategy) -> None:
        """Runs the generations that are left."""
        state = self.state
        self.score({START: self.config.max_repeats}, "search")
        if not math.isfinite(self.mean(START)):
            raise StudyError(f"the start cannot be scored by {self.config.proxy}: {self.study.failure(START)}")
        if not any(state.noise):
            self.observe("search", {START: self.config.max_repeats}, START)
        while state.proposed or (not state.stopped and self._propose(strategy)):
            strategy.decide(self, self.study.of_generation(state.generation))
            state.generation, state.proposed = state.generation + 1, False
            self.study.save(asdict(state))

    def _propose(self, strategy: Strategy) -> bool:
        """Draws a generation and stores it with the state behind it; False when there is none to draw."""
        state, rng = self.state, self.state.rng()
        done = self.study.count("scored", "failed")
        children: dict[str, Candidate] = {}
        in_a_row = 0
        while len(children) < min(self.config.generation, self.config.iterations - done) and in_a_row < PATIENCE:
            try:
                proposal, parent = strategy.propose(self, rng)
            except SpaceError as error:
                state.stopped = str(error)
                break
            state.rejected += proposal.rejected
            genotype = proposal.genotype
            if genotype.key in children or self.study.find(genotype.key) is not None:
                state.duplicates, in_a_row = state.duplicates + 1, in_a_row + 1
                continue
            in_a_row = 0
            cost = self.limits.cost(genotype)
            number = 1 + done + len(children)
            children[genotype.key] = Candidate(
                number, genotype, parent, proposal.move, state.generation, cost.params, cost.macs
            )
        if in_a_row >= PATIENCE:
            state.stopped = f"{PATIENCE} proposals in a row had been evaluated before"
        state.random, state.proposed = list(rng.getstate()), bool(children)
        self.study.save(asdict(state), children.values())
        return bool(children)

    def score(self, repeats_of: Mapping[int, int], phase: Phase) -> None:
        """Sees to it that candidates have so many scores; a candidate that failed gets no more."""
        wanted = []
        for number, repeats in repeats_of.items():
            values = self.study.values(number, phase)
            if None not in values:
                wanted += [(number, repeat) for repeat in range(repeats) if repeat >= len(values)]
        genotypes = {number: self.study.candidate(number).genotype for number, _ in wanted}
        tasks = [Task(genotypes[number], phase, repeat) for number, repeat in wanted]
        for done, (index, score) in enumerate(self.executor.run(tasks)):
            number, repeat = wanted[index]
            self.study.record(number, phase, repeat, score)
            self._report(phase, done + 1, len(tasks))

    def mean(self, number: int) -> float:
        """Mean of all search scores of a candidate; minus infinity when it failed."""
        values = self.study.search_values(number)
        scores = [value for value in values if value is not None]
        return fmean(scores) if scores and len(scores) == len(values) else -math.inf

    def lead(self, number: int, other: int, repeats: int, phase: Phase) -> tuple[float, float]:
        """Mean lead of one candidate over another on the first `repeats` that both have, and its standard error.

        The error is that of paired differences; their variance is drawn towards what is usual between a candidate and
        its parent, since a few differences say little about it. The lead is minus infinity for a candidate that failed.
        """
        pairs = list(zip(self.study.values(number, phase)[:repeats], self.study.values(other, phase)))
        differences = [a - b for a, b in pairs if a is not None and b is not None]
        if not differences or len(differences) < len(pairs):
            return -math.inf, 0.0
        squares, freedom = self.state.paired
        usual = squares / freedom if freedom else 2 * self.state.deviation**2
        if number != START and self.study.candidate(number).parent != other:
            usual = max(usual, 2 * self.state.deviation**2)  # further apart, they share less
        mean = fmean(differences)
        around = sum((d - mean) ** 2 for d in differences) + PRIOR * usual
        return mean, math.sqrt(around / (len(differences) - 1 + PRIOR) / len(differences))

    def observe(self, phase: Phase, used: Mapping[int, int], current: int) -> None:
        """Takes what repeated scores of a phase say about noise into the state."""
        values = {number: self.study.values(number, phase)[:count] for number, count in used.items() if count > 1}
        scores = {number: [v for v in found if v is not None] for number, found in values.items() if None not in found}
        _add_spread(self.state.noise, scores.values())
        here = scores.pop(current, [])
        _add_spread(self.state.paired, [[a - b for a, b in zip(found, here)] for found in scores.values()])

    def _report(self, phase: Phase, done: int, total: int) -> None:
        state, search = self.state, phase.startswith("search")
        self.notify(
            Progress(
                phase=phase.split()[0],
                done=self.study.count("scored", "failed") if search else done,
                total=self.config.iterations if search else total,
                current=finite(self.mean(state.current)),
                start=finite(self.mean(START)),
                duplicates=state.duplicates,
                rejected=state.rejected,
                failed=self.study.count("failed"),
            )
        )


def _add_spread(total: list[float], groups: Iterable[Sequence[float]]) -> None:
    """Adds the squares around the means of the groups, and their degrees of freedom."""
    for values in groups:
        if len(values) > 1:
            total[0] += variance(values) * (len(values) - 1)
            total[1] += len(values) - 1


def finite(value: float) -> float | None:
    """The value, or None for an infinite one."""
    return value if math.isfinite(value) else None
