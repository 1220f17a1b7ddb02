"""Successive halving with repeats where it is close: pure arithmetic on results, nothing is trained here.

After a round the best go on (Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", 2016). Trainings are noisy, so whoever is too near the line for its number of trainings is trained again
with another seed, until it is clear on which side it is or the repeats are used up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, variance

Runner = tuple[int, int]
"""Number of a study, number of a candidate in it."""
Results = Mapping[Runner, Sequence[float | None]]
"""What each runner reached, by seed; None for a training that failed. Higher is better."""
ERRORS = 2.0
"""Standard errors of a difference within which it is not clear who is better."""


def mean(results: Sequence[float | None]) -> float:
    """Mean over seeds; minus infinity for a runner of which a training failed, or that has none."""
    values = [value for value in results if value is not None]
    return fmean(values) if values and len(values) == len(results) else -math.inf


def ranking(results: Results) -> list[Runner]:
    """The runners, best first; equal ones in their order."""
    return sorted(results, key=lambda runner: -mean(results[runner]))


def deviation(results: Results, prior: float) -> float:
    """Standard deviation between the seeds of a runner, pooled over all that have several.

    Args:
        prior: what it is taken for while there are few, as two degrees of freedom: that of an accuracy on so many
            held-out images, at least.
    """
    known = ([value for value in values if value is not None] for values in results.values())
    squares, freedom = scatter(known)
    return math.sqrt((squares + 2 * prior**2) / (freedom + 2))


def scatter(groups: Iterable[Sequence[float]]) -> tuple[float, int]:
    """Squared distances from the mean of each group of several values, summed up, and their degrees of freedom."""
    several = [values for values in groups if len(values) > 1]
    freedom = [len(values) - 1 for values in several]
    return sum(variance(values) * free for values, free in zip(several, freedom)), sum(freedom)


def undecided(results: Results, keep: int, repeats: int, prior: float) -> list[Runner]:
    """Runners that should be trained once more before the best `keep` of them go on.

    The line lies between the last who would stay and the first who would leave. A runner is undecided when it is nearer
    to the best on the other side of the line than the error of that difference.
    """
    order = ranking(results)
    if keep >= len(order):
        return []
    spread = deviation(results, prior)
    inside, outside = order[keep - 1], order[keep]
    found = []
    for place, runner in enumerate(order):
        rival = outside if place < keep else inside
        difference = abs(mean(results[runner]) - mean(results[rival]))
        error = spread * math.sqrt(1 / len(results[runner]) + 1 / len(results[rival]))
        if difference < ERRORS * error and len(results[runner]) < repeats:  # false where one of them failed
            found.append(runner)
    return found
