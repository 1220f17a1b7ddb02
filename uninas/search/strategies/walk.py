"""walk: the traversal. From where it stands it looks at a few neighbours and moves on to the best one.

It begins at the best of the starts and of some networks drawn from scratch: a walk changes little at a time, and where
it begins decides much of where it ends.

Scores are noisy, so neighbours are compared with the place the walk stands at repeat by repeat, on common weights and
images. The best neighbour is scored again for as long as its lead is within the error, or has been seen only once, and
the next best beside it: the best of several is chosen for being high, and the one behind it often leads after that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Literal

from pydantic import BaseModel, Field

from .base import Result, Strategy, StrategySettings, View, Wanted
from .breeding import sample, stride


class WalkSettings(StrategySettings):
    """Settings of `walk`."""

    scouts: int = Field(32, ge=0)
    """Networks that are drawn from scratch before the first step."""
    strides: tuple[int, ...] = Field((1, 2, 4, 8), min_length=1)
    """Moves that lead to a neighbour, drawn evenly. One changes a score less than other weights do."""
    acceptance: Literal["better", "significant", "always"] = "better"
    """Move on to the best of a generation if its mean is higher, higher by more than the error, or always."""
    patience: int = Field(10, ge=1)
    """Generations without a step after which the walk goes on from the best network that it has not left yet."""


class WalkState(BaseModel):
    """Where the walk stands."""

    scouted: int = 0
    """Networks drawn from scratch."""
    current: int | None = None
    trail: list[int] = []
    """The candidates that the walk moved on to, in order."""
    children: list[int] = []
    """The neighbours being looked at."""
    repeats: dict[int, int] = {}
    """Scores that each of them, and the place the walk stands at, was asked to have."""
    contenders: list[int] = []
    """The neighbours that have to prove themselves."""
    stuck: int = 0
    """Generations since the last step."""
    left: list[int] = []
    """Places that the walk gave up."""


class Walk(Strategy):
    """Greedy, and as careful as its scores are noisy."""

    name = "walk"
    description = "moves on to the best of a few neighbours, again and again"
    asynchronous = False  # it decides on whole generations
    Settings = WalkSettings
    State = WalkState
    settings: WalkSettings
    state: WalkState

    def ask(self, view: View, rng: Random) -> list[Wanted]:
        state = self.state
        if state.current is None:
            missing = min(view.room, self.settings.scouts - state.scouted)
            scouts = [sample(view, rng) for _ in range(missing)]
            state.scouted += missing
            found = [Wanted(draft, view.repeats) for draft in scouts if draft is not None]
            if found:
                return found
            state.current = int(view.scores().argmax())
        if state.contenders:
            return [Wanted(candidate, state.repeats[candidate]) for candidate in (*state.contenders, state.current)]
        if state.stuck >= self.settings.patience:
            self._go_back(view)
        for _ in range(view.table.count):  # a dead end here is not one everywhere
            lengths = [rng.choice(self.settings.strides) for _ in range(view.room)]
            drafts = [stride(view, state.current, length, rng) for length in lengths]
            found = [Wanted(draft, view.repeats) for draft in drafts if draft is not None]
            if found or not self._go_back(view):
                return found
        return []

    def _go_back(self, view: View) -> bool:
        """Goes on from the best network that has not been left; False when there is none."""
        state = self.state
        state.left.append(state.current)  # type: ignore[arg-type]
        scores = view.scores()
        scores[state.left] = -math.inf
        best = int(scores.argmax())
        if math.isinf(scores[best]):
            return False
        state.current, state.stuck = best, 0
        return True

    def tell(self, view: View, results: Sequence[Result]) -> None:
        state = self.state
        current = state.current
        if current is None:
            return
        if not state.contenders:
            state.children = [result.candidate for result in results]
            known = max(view.table.repeats(current), view.repeats)
            state.repeats = {**dict.fromkeys(state.children, view.repeats), current: known}
        if not state.children:
            return
        leads = {child: view.lead(child, current) for child in state.children}
        best, *others = sorted(leads, key=lambda child: (-leads[child][0], child))
        lead, error = leads[best]
        # The best of several is chosen for being high, so its lead has to show again on a repeat of its own.
        clear = (lead > error and state.repeats[best] > view.repeats) or lead < -error
        if not math.isinf(lead) and not clear and state.repeats[best] < view.max_repeats:
            repeats = min(2 * state.repeats[best], view.max_repeats)
            may_lead = (child for child in others[:1] if leads[child][0] > -leads[child][1])
            state.contenders = [best, *(child for child in may_lead if state.repeats[child] < repeats)]
            state.repeats.update(dict.fromkeys(state.contenders, repeats))
            state.repeats[current] = max(repeats, state.repeats[current])
            return
        needed = {"always": -math.inf, "better": 0.0, "significant": error}[self.settings.acceptance]
        if lead > needed:
            state.current, state.stuck = best, 0
            state.trail.append(best)
        else:
            state.stuck += 1
        state.contenders, state.children, state.repeats = [], [], {}
