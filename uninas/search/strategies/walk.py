"""walk: the traversal. From where it stands it looks at a few neighbours and moves on to the best one.

Scores are noisy, so the best of several single scores is mostly luck. Before the walk moves, the best neighbour and the
place it stands at are scored again with further initialisations for as long as they are within the error of each
other; the neighbour that leads after that may be another one, which then has to prove itself too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from ..explore import Search
from ..propose import Proposal


class Walk:
    """Greedy, and as careful as its scores are noisy."""

    def propose(self, search: Search, rng: Random) -> tuple[Proposal, int]:
        current = search.state.current
        return search.space.propose(search.study.candidate(current).genotype, rng, search.limits), current

    def decide(self, search: Search, children: Sequence[int]) -> None:
        state, config = search.state, search.config
        # How many scores of each are looked at. What a killed search had scored beyond is there, but not looked at.
        used = dict.fromkeys(children, config.repeats) | {state.current: state.used}
        while True:
            best = max(children, key=lambda number: search.mean(number, used[number]))
            lead = search.mean(best, used[best]) - search.mean(state.current, used[state.current])
            error = state.deviation * math.sqrt(1 / used[best] + 1 / used[state.current])
            open_ = [number for number in (best, state.current) if used[number] < config.max_repeats]
            more = {number: min(2 * used[number], config.max_repeats) for number in open_}
            if math.isinf(lead) or abs(lead) > error or not more:
                break
            search.score(more, "search")
            used |= more
        state.used = used[state.current]
        needed = {"always": -math.inf, "better": 0.0, "significant": error}[config.acceptance]
        if lead > needed:
            state.current, state.used = best, used[best]
            state.accepted += 1
