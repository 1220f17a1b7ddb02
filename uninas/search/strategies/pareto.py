"""pareto: several objectives at once, by NSGA-II (Deb et al., 2002). What is kept is what nothing beats in all of them.

Parents win tournaments by the front that they are on, and on one front by how far they are from their neighbours; the
next population is the best of the old one and its children, by the same order. Fronts come from moocore.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from pydantic import BaseModel, Field

from .base import Result, Strategy, StrategySettings, View, Wanted
from .breeding import child, newcomer

TRIES = 3
"""Of other parents, where one has no new child."""


class ParetoSettings(StrategySettings):
    """Settings of `pareto`."""

    population: int = Field(32, ge=2)
    """Networks that survive."""
    crossover: float = Field(0.5, ge=0, le=1)
    """Share of children with two parents."""
    strides: tuple[int, ...] = Field((1, 2, 4), min_length=1)
    """Moves between a parent and its child, drawn evenly."""
    scratch: float = Field(0.5, ge=0, le=1)
    """Share of the first population that is drawn from scratch; the others are walks from the starts."""


class ParetoState(BaseModel):
    """Who survived."""

    alive: list[int] | None = None
    """None before the first ask."""
    born: int = 0
    """Networks asked for."""


class Pareto(Strategy):
    """NSGA-II with the moves and the crossover of the space."""

    name = "pareto"
    description = "NSGA-II: the front of two or more objectives"
    objectives = None
    Settings = ParetoSettings
    State = ParetoState
    settings: ParetoSettings
    state: ParetoState

    def ask(self, view: View, rng: Random) -> list[Wanted]:
        state = self.state
        if state.alive is None:
            state.alive = self._survivors(view, list(view.starts))
        order = {candidate: place for place, candidate in enumerate(self._order(view, state.alive))}
        found = []
        for _ in range(view.room):
            first = state.born < self.settings.population or len(order) < 2
            draft = newcomer(view, rng, self.settings.scratch) if first else None
            for _ in range(TRIES if order else 0):
                mother, father = self._select(order, rng), self._select(order, rng)
                draft = draft or child(view, mother, father, rng, self.settings.crossover, self.settings.strides)
            if draft is not None:
                state.born += 1
                found.append(Wanted(draft, view.repeats))
        return found

    @staticmethod
    def _select(order: dict[int, int], rng: Random) -> int:
        """The better one of two."""
        candidates = list(order)
        return min(rng.choice(candidates), rng.choice(candidates), key=order.__getitem__)

    def tell(self, view: View, results: Sequence[Result]) -> None:
        alive = self.state.alive or []
        self.state.alive = self._survivors(view, alive + [result.candidate for result in results if result.scored])

    def _survivors(self, view: View, candidates: list[int]) -> list[int]:
        return sorted(self._order(view, candidates)[: self.settings.population])

    def _order(self, view: View, candidates: list[int]) -> list[int]:
        """By front, then by distance from the neighbours on the front, then by number."""
        import moocore

        columns = [objective.scores(view.table) for objective in view.objectives]
        candidates = [c for c in candidates if all(math.isfinite(column[c]) for column in columns)]
        if not candidates:
            return []
        points = np.stack([column[candidates] for column in columns], axis=1)
        fronts = moocore.pareto_rank(points, maximise=True)
        crowding = np.zeros(len(candidates))
        for front in np.unique(fronts):
            members = np.flatnonzero(fronts == front)
            crowding[members] = crowding_distance(points[members])
        places = sorted(range(len(candidates)), key=lambda i: (fronts[i], -crowding[i], candidates[i]))
        return [candidates[i] for i in places]


def crowding_distance(points: np.ndarray) -> np.ndarray:
    """Sum over the objectives of the gap between a point's neighbours, against the whole range; infinite at the ends.

    Args:
        points: n x objectives, on one front.
    """
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        distance[order[[0, -1]]] = math.inf
        span = column[order[-1]] - column[order[0]]
        if span > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def front(points: np.ndarray) -> np.ndarray:
    """Which of n x objectives (higher is better) nothing beats in all objectives; of equal points the first."""
    import moocore

    return moocore.is_nondominated(points, maximise=True)


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """The volume between a front (n x objectives, higher is better) and a reference that all its points beat."""
    import moocore

    return float(moocore.hypervolume(points, ref=reference, maximise=True))
