"""How far a search is: a snapshot for whoever watches it."""

from __future__ import annotations

import time
from collections import deque

from pydantic import BaseModel

WINDOW = 50
"""Evaluations over which speed is measured."""


class Progress(BaseModel):
    """What `on_progress` is called with, after every task."""

    phase: str
    """"search", then "leaders" and "fresh": networks that are scored anew on new seeds."""
    done: int
    total: int
    """Networks in the phase "search", scores in the others."""
    best: float | None
    """The highest score so far."""
    best_params: int | None
    best_macs: int | None
    start: float | None
    """The highest score of a start."""
    duplicates: int
    over_limits: int
    too_slow: int
    failed: int
    per_hour: float | None
    """Networks evaluated an hour, of late."""
    seconds_left: float | None
    """Of the phase "search", at that speed."""


class Speed:
    """Evaluations an hour over the last WINDOW of them."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, int]] = deque(maxlen=WINDOW)

    def per_hour(self, done: int) -> float | None:
        """The speed after `done` evaluations; None before there are two moments to compare."""
        if not self._moments or self._moments[-1][1] != done:
            self._moments.append((time.monotonic(), done))
        (first, before), (last, after) = self._moments[0], self._moments[-1]
        return 3600 * (after - before) / (last - first) if after > before and last > first else None
