"""The end of a search: the leaders compete on new seeds, and the winner is measured beside the start on newer ones.

The best of many noisy scores is mostly luck, so a leader's score from the search is too high on average, and so, a
little, is that of the best of a few leaders. What the summary reports comes from seeds that no decision has seen.
"""

from __future__ import annotations

import math
from statistics import fmean, pstdev, stdev

from ..genotype import Genotype
from .explore import START, Search, Strategy, finite
from .scoring import Phase
from .summary import Found, Summary


def finish(search: Search, strategy: Strategy) -> tuple[Genotype, Summary]:
    """The best candidate, and the summary (without its times and files)."""
    config, state, study = search.config, search.state, search.study
    leaders = [*strategy.leaders(search), START]
    search.score(dict.fromkeys(leaders, config.leader_repeats), "leaders")
    ranked = sorted(leaders, key=lambda n: (-search.lead(n, START, config.leader_repeats, "leaders")[0], n))
    best = ranked[0]
    search.score(dict.fromkeys((best, START), config.fresh_repeats), "fresh")
    gain, gain_se = search.lead(best, START, config.fresh_repeats, "fresh")
    if not gain > 0:
        best, gain, gain_se = START, 0.0, 0.0
    means = [
        mean for number in range(1 + study.count("scored", "failed")) if math.isfinite(mean := search.mean(number))
    ]
    summary = Summary(
        best=_found(search, best, "fresh"),
        start=_found(search, START, "fresh"),
        gain=gain,
        gain_se=gain_se,
        leaders=[_found(search, number, "leaders") for number in ranked],
        evaluated=study.count("scored", "failed"),
        duplicates=state.duplicates,
        rejected=state.rejected,
        failed=study.count("failed"),
        accepted=state.accepted,
        noise=state.deviation or None,
        spread=pstdev(means) if len(means) > 1 else None,
        seconds=0.0,
        stopped=state.stopped,
        strategy=config.strategy,
        proxy=config.proxy,
        iterations=config.iterations,
        seed=config.seed,
        input_size=config.input_size,
        files=[],
    )
    return study.candidate(best).genotype, summary


def _found(search: Search, number: int, phase: Phase) -> Found:
    candidate = search.study.candidate(number)
    values = search.study.values(number, phase)
    scores = [value for value in values if value is not None]
    complete = len(scores) == len(values) > 1
    return Found(
        key=candidate.genotype.key,
        score=fmean(scores) if complete else None,
        score_se=stdev(scores) / math.sqrt(len(scores)) if complete else None,
        params=candidate.params,
        macs=candidate.macs,
        search_score=finite(search.mean(number)),
        parent=search.study.candidate(candidate.parent).genotype.key if candidate.parent is not None else None,
        move=candidate.move,
    )
