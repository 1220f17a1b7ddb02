"""The end of a search: leaders and start are scored anew, on seeds that no decision has seen.

The best of many noisy scores is mostly luck, so a leader's score from the search is too high on average, and is not
what the summary reports.
"""

from __future__ import annotations

import math
from statistics import fmean, pstdev, stdev

from ..genotype import Genotype
from .explore import START, Search, finite
from .summary import Found, Summary


def finish(search: Search) -> tuple[Genotype, Summary]:
    """Scores the leaders anew; the best of them by that, and the summary (without its times and files)."""
    config, state, study = search.config, search.state, search.study
    leaders = leading(search)
    search.score(dict.fromkeys(leaders, config.fresh_repeats), "fresh")
    found = {number: _found(search, number) for number in leaders}
    ranked = sorted(leaders, key=lambda number: (-_or(found[number].score, -math.inf), number))
    means = [fmean(values) for values in study.all_values("search").values()]
    summary = Summary(
        best=found[ranked[0]],
        start=found[START],
        leaders=[found[number] for number in ranked],
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
    return study.candidate(ranked[0]).genotype, summary


def leading(search: Search) -> list[int]:
    """The candidates that are highest by mean less its standard error, where the walk stands, and the start."""
    means = {number: (fmean(values), len(values)) for number, values in search.study.all_values("search").items()}
    deviation = search.state.deviation

    def bound(number: int) -> tuple[float, int]:
        mean, count = means[number]
        return mean - deviation / math.sqrt(count), -number

    first = sorted(means, key=bound, reverse=True)[: search.config.leaders]
    return list(dict.fromkeys([*first, search.state.current, START]))


def _found(search: Search, number: int) -> Found:
    candidate = search.study.candidate(number)
    values = [value for value in search.study.values(number, "fresh") if value is not None]
    complete = len(values) == search.config.fresh_repeats
    return Found(
        key=candidate.genotype.key,
        score=fmean(values) if complete else None,
        score_se=stdev(values) / math.sqrt(len(values)) if complete else None,
        params=candidate.params,
        macs=candidate.macs,
        search_score=finite(search.mean(number)),
        parent=search.study.candidate(candidate.parent).genotype.key if candidate.parent is not None else None,
        move=candidate.move,
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
