"""evolution: parents are chosen for their scores, children are edits of one parent or a crossing of two.

Two recipes. "aging": each child replaces the oldest of a population, its parent is the best of a random few (Real et
al., "Regularized Evolution for Image Classifier Architecture Search", 2019), so that a lucky score dies out.
"published": the parent is drawn evenly from the best of all evaluated networks, as in the searches of AZ-NAS and VKDNW
(Lee and Ham, CVPR 2024; Tybl and Neumann, CVPR 2025), which evaluate up to 100,000 networks, 1,024 in the population.

Scores are ranks among all evaluated networks, and are looked up when a parent is chosen, never kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from .base import Draft, Result, Strategy, StrategySettings, View, Wanted
from .breeding import child, newcomer

PRESETS: dict[str, dict[str, Any]] = {
    "aging": {"population": 24, "tournament": 6, "crossover": 0.25, "strides": (1, 2, 4), "scratch": 0.75},
    "published": {"population": 1024, "tournament": 1, "crossover": 0.0, "strides": (1,), "scratch": 1.0},
}


TRIES = 3
"""Of other parents, where one has no new child."""


class EvolutionSettings(StrategySettings):
    """Settings of `evolution`; those that are not given are the recipe's."""

    recipe: Literal["aging", "published"] = "aging"
    population: int = Field(24, ge=2)
    """aging: networks alive at a time; published: the best, who may be parents. So many are made to begin with."""
    tournament: int = Field(6, ge=1)
    """aging: networks drawn for a tournament, the best of which becomes a parent."""
    crossover: float = Field(0.25, ge=0, le=1)
    """Share of children with two parents."""
    strides: tuple[int, ...] = Field((1, 2, 4), min_length=1)
    """Moves between a parent and its child, drawn evenly."""
    scratch: float = Field(0.75, ge=0, le=1)
    """Share of the first population that is drawn from scratch; the others are walks from the starts."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {**PRESETS.get(str(data.get("recipe", "aging")), {}), **data}


class EvolutionState(BaseModel):
    """Who is alive."""

    alive: list[int] | None = None
    """Oldest first; None before the first ask."""
    born: int = 0
    """Networks asked for, those that did not live among them."""


class Evolution(Strategy):
    """Selection by tournament or from the best, aging or not."""

    name = "evolution"
    description = "tournaments, mutation and crossover in an aging population, or the published recipe"
    Settings = EvolutionSettings
    State = EvolutionState
    settings: EvolutionSettings
    state: EvolutionState

    def ask(self, view: View, rng: Random) -> list[Wanted]:
        state, settings = self.state, self.settings
        if state.alive is None:
            state.alive = [start for start in view.starts if math.isfinite(view.score(start))]
        parents = self._parents(view)
        found = []
        for _ in range(view.room):
            first = state.born < settings.population or not parents
            draft = newcomer(view, rng, settings.scratch) if first else None
            for _ in range(TRIES if parents else 0):
                draft = draft or self._child(view, parents, rng)
            if draft is not None:
                state.born += 1
                found.append(Wanted(draft, view.repeats))
        return found

    def _parents(self, view: View) -> list[int]:
        """Candidates that may become parents."""
        if self.settings.recipe == "aging":
            return list(self.state.alive or [])
        scores = view.scores()
        order = np.argsort(-scores, kind="stable")[: self.settings.population - 1]
        return [int(candidate) for candidate in order if math.isfinite(scores[candidate])]

    def _child(self, view: View, parents: list[int], rng: Random) -> Draft | None:
        mother, father = self._select(view, parents, rng), self._select(view, parents, rng)
        return child(view, mother, father, rng, self.settings.crossover, self.settings.strides)

    def _select(self, view: View, parents: list[int], rng: Random) -> int:
        if self.settings.recipe == "published":
            return rng.choice(parents)
        drawn = [rng.choice(parents) for _ in range(self.settings.tournament)]
        return max(drawn, key=lambda candidate: (view.score(candidate), candidate))

    def tell(self, view: View, results: Sequence[Result]) -> None:
        alive = self.state.alive if self.state.alive is not None else []
        alive += [result.candidate for result in results if result.scored]
        self.state.alive = alive[-self.settings.population :] if self.settings.recipe == "aging" else []
