"""How far a long run is: a live bar on a terminal, a plain line a minute elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..report.pace import INTERVAL, Pace

if TYPE_CHECKING:
    from rich.console import Console


class ProgressLog:
    """`with ProgressLog(console, "scoring") as log: rank.score(log.update)`.

    Args:
        console: where to; its terminal decides between bar and lines.
        what: is done.
        interval: seconds between two lines.
        clock: in seconds.
        transient: whether the bar goes away in the end.
    """

    def __init__(
        self,
        console: Console,
        what: str,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
        transient: bool = False,
    ) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.console, self.what, self.clock, self._pace = console, what, clock, Pace(interval, clock)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times, hidden = (TimeElapsedColumn(), Remaining()), not console.is_terminal
        self.bar = Progress(*columns, *times, console=console, disable=hidden, transient=transient)
        self._task = self.bar.add_task(what, total=None)
        self._start: tuple[float, int] | None = None

    def __enter__(self) -> ProgressLog:
        self.bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.__exit__(None, None, None)

    def update(self, done: int, total: int, what: str | None = None, note: str = "") -> None:
        """Shows that `done` of `total` are done. The first call says what was done before this run.

        Args:
            what: is done from now on, where that changes.
            note: what else there is to say.
        """
        if what is not None and what != self.what:
            self.what, self._start = what, None
        self.bar.update(self._task, description=self.what + note, completed=done, total=total)
        if self.console.is_terminal:
            return
        now = self.clock()
        if self._start is None:
            self._start = now, done
        if self._pace.due(self.what, done == total):
            line = f"{time.strftime('%H:%M:%S')} {self.what}: {done}/{total}{self._left(now, done, total)}{note}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _left(self, now: float, done: int, total: int) -> str:
        """How fast it goes, and how long it will take."""
        if self._start is None or done == self._start[1] or now == self._start[0]:
            return ""
        rate = (done - self._start[1]) / (now - self._start[0])
        left = f", {(total - done) / rate / 60:.0f} min left" if done < total else ""
        return f", {3600 * rate:.0f} an hour{left}"


@contextmanager
def waiting(console: Console, what: str, interval: float = INTERVAL) -> Iterator[None]:
    """While something runs that cannot say how far it is: a spinner on a terminal, elsewhere a plain line a minute."""
    if console.is_terminal:
        with console.status(what):
            yield
        return
    began, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(interval):
            line = f"{time.strftime('%H:%M:%S')} {what}: {time.monotonic() - began:.0f} s"
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
