"""random: independent random walks from the start, the baseline that everything must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from ..explore import START, Search
from ..propose import Proposal


class RandomWalks:
    """Each candidate is the end of a walk of its own, 1 to `steps` moves long; scores steer nothing."""

    def propose(self, search: Search, rng: Random) -> tuple[Proposal, int]:
        length = rng.randint(1, search.config.steps)
        genotype, rejected = search.study.candidate(START).genotype, 0
        proposal = None
        for _ in range(length):
            proposal = search.space.propose(genotype, rng, search.limits)
            genotype, rejected = proposal.genotype, rejected + proposal.rejected
        return replace(proposal, move=f"{length} random moves", rejected=rejected), START  # type: ignore[type-var]

    def decide(self, search: Search, children: Sequence[int]) -> None:
        pass
