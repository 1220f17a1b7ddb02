"""walk: the traversal. From where it stands it looks at a few neighbours and moves on to the best one.

Scores are noisy, so neighbours are compared with the place the walk stands at repeat by repeat, on common weights and
images. The best neighbour is scored again for as long as its lead is within the error, or has been seen only once; the
neighbour that leads after that may be another one, which then has to prove itself too. Every generation is scored on
seeds of its own: a walk that always saw the same ones would learn them by heart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from ..explore import Search
from ..propose import Proposal, several

STRIDES = (1, 2, 4, 8)
"""Moves that lead to a neighbour. One move changes the score less than the weights do; several often change it more."""


class Walk:
    """Greedy, and as careful as its scores are noisy."""

    def propose(self, search: Search, rng: Random) -> tuple[Proposal, int]:
        current = search.state.current
        genotype = search.study.candidate(current).genotype
        return several(search, genotype, rng.choice(STRIDES), rng), current

    def decide(self, search: Search, children: Sequence[int]) -> None:
        state, config = search.state, search.config
        current, phase = state.current, f"search {state.generation}"
        search.score(dict.fromkeys([*children, current], config.repeats), phase)
        # How many scores of each are looked at. What a killed search had scored beyond is there, but not looked at.
        used = dict.fromkeys([*children, current], config.repeats)
        while True:
            best = max(children, key=lambda number: search.lead(number, current, used[number], phase)[0])
            lead, error = search.lead(best, current, used[best], phase)
            # The best of several is chosen for being high, so its lead has to show again on a repeat of its own.
            clear = (lead > error and used[best] > config.repeats) or lead < -error
            if math.isinf(lead) or clear or used[best] >= config.max_repeats:
                break
            used[best] = min(2 * used[best], config.max_repeats)
            used[current] = max(used[best], used[current])
            search.score({best: used[best], current: used[current]}, phase)
        search.observe(phase, used, current)
        needed = {"always": -math.inf, "better": 0.0, "significant": error}[config.acceptance]
        if lead > needed:
            state.current = best
            state.trail.append(best)
            state.accepted += 1

    def leaders(self, search: Search) -> list[int]:
        return search.state.trail[: -search.config.leaders - 1 : -1]
