"""random: networks drawn from scratch over the whole space, within the limits. What every strategy must beat."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from .base import Result, Strategy, View, Wanted
from .breeding import sample


class RandomSearch(Strategy):
    """Scores steer nothing."""

    name = "random"
    description = "draws every network from scratch: the baseline"

    def ask(self, view: View, rng: Random) -> list[Wanted]:
        drafts = [sample(view, rng) for _ in range(view.room)]
        return [Wanted(draft, view.repeats) for draft in drafts if draft is not None]

    def tell(self, view: View, results: Sequence[Result]) -> None:
        pass
