"""How long something takes: one rule for the latency of a search, for profiles and for comparisons.

A few runs to warm up, then timed ones until the median is known well enough or the time is used up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

WARM_UP_RUNS = 3
MIN_RUNS = 5
"""Timed runs, however long they take."""
PRECISION = 0.02
"""Width of the 95 % confidence interval of the median, relative to it, at which it is known well enough."""
CHECK_EVERY = 10


class Latency(NamedTuple):
    """Times of forward passes."""

    median: float
    """Seconds."""
    p90: float
    """Seconds that nine of ten passes stay below."""
    runs: int


def time_runs(
    run: Callable[[], object], synchronize: Callable[[], None], seconds: float, runs: int | None = None
) -> Latency:
    """Times `run` until the median is stable or the time is used up.

    Args:
        synchronize: waits for the device.
        seconds: of timed runs at most, where there have been MIN_RUNS.
        runs: exactly so many timed runs instead, however long they take.
    """
    for _ in range(WARM_UP_RUNS):
        run()
    times: list[float] = []
    while len(times) < runs if runs is not None else _unsettled(times, seconds):
        synchronize()
        start = time.perf_counter()
        run()
        synchronize()
        times.append(time.perf_counter() - start)
    ordered = sorted(times)
    return Latency(quantile(ordered, 0.5), quantile(ordered, 0.9), len(times))


def _unsettled(times: Sequence[float], seconds: float) -> bool:
    """Whether another run is wanted."""
    if len(times) < MIN_RUNS:
        return True
    return sum(times) < seconds and not (len(times) % CHECK_EVERY == 0 and _stable(times))


def _stable(times: Sequence[float]) -> bool:
    """Whether the order statistics that enclose the median with 95 % confidence are close to each other."""
    ordered, n = sorted(times), len(times)
    reach = 0.98 * math.sqrt(n)  # 1.96 standard deviations of the binomial distribution (n, 1/2)
    low, high = ordered[max(0, math.floor(n / 2 - reach))], ordered[min(n - 1, math.ceil(n / 2 + reach))]
    return high - low <= PRECISION * quantile(ordered, 0.5)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of sorted numbers; linear between the neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])
