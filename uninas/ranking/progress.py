"""How far a long run is: a live bar on a terminal, a plain line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

INTERVAL = 60.0
"""Seconds between two lines where there is no terminal."""


class ProgressLog:
    """`with ProgressLog(console, "scoring") as log: rank.score(log.update)`.

    Args:
        console: where to; its terminal decides between bar and lines.
        what: is done.
        interval: seconds between two lines.
        clock: in seconds.
    """

    def __init__(
        self, console: Console, what: str, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console, self.what, self.interval, self.clock = console, what, interval, clock
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, *times, console=console, disable=not console.is_terminal)
        self._task = self.bar.add_task(what, total=None)
        self._start: tuple[float, int] | None = None
        self._last = 0.0

    def __enter__(self) -> ProgressLog:
        self.bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.__exit__(None, None, None)

    def update(self, done: int, total: int) -> None:
        """Shows that `done` of `total` are done. The first call says what was done before this run."""
        self.bar.update(self._task, completed=done, total=total)
        if self.console.is_terminal:
            return
        now = self.clock()
        first = self._start is None
        if self._start is None:
            self._start = now, done
        if first or now - self._last >= self.interval or done == total:
            self._last = now
            line = f"{time.strftime('%H:%M:%S')} {self.what}: {done}/{total}{self._left(now, done, total)}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _left(self, now: float, done: int, total: int) -> str:
        """How fast it goes, and how long it will take."""
        if self._start is None or done == self._start[1] or now == self._start[0]:
            return ""
        rate = (done - self._start[1]) / (now - self._start[0])
        left = f", {(total - done) / rate / 60:.0f} min left" if done < total else ""
        return f", {3600 * rate:.0f} an hour{left}"
