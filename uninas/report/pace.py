"""When a long run that has no terminal says where it is."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL = 60.0
"""Seconds between two lines."""


class Pace:
    """A line when something new begins, one a minute, and one at the end; what comes after that, once a minute again.

    Args:
        interval: seconds between two lines.
        clock: in seconds.
    """

    def __init__(self, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval, self.clock = interval, clock
        self._what: str | None = None
        self._last, self._ended = 0.0, False

    def due(self, what: str, ended: bool) -> bool:
        """Whether to say now that `what` is going on, or that it has ended."""
        now = self.clock()
        if what == self._what and now - self._last < self.interval and (self._ended or not ended):
            return False
        self._what, self._last, self._ended = what, now, ended
        return True
