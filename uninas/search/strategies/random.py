"""random: independent random walks from the start, the baseline that everything must beat."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..explore import START, Search
from ..propose import Proposal, several


class RandomWalks:
    """Each candidate is the end of a walk of its own, 1 to `steps` moves long; scores steer nothing."""

    def propose(self, search: Search, rng: Random) -> tuple[Proposal, int]:
        length = rng.randint(1, search.config.steps)
        return several(search, search.study.candidate(START).genotype, length, rng), START

    def decide(self, search: Search, children: Sequence[int]) -> None:
        search.score(dict.fromkeys(children, search.config.repeats), "search")

    def leaders(self, search: Search) -> list[int]:
        """The highest by lead over the start less its standard error."""
        counts = {number: len(values) for number, values in search.study.all_values("search").items()}

        def bound(number: int) -> tuple[float, int]:
            lead, error = search.lead(number, START, counts[number], "search")
            return lead - error, -number

        return sorted(counts.keys() - {START}, key=bound, reverse=True)[: search.config.leaders]
