"""A search as it runs - a live bar on a terminal, a plain line a minute elsewhere - and what it found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ..units import format_count
from .pace import INTERVAL, Pace

if TYPE_CHECKING:
    from ..search.progress import Progress
    from ..search.summary import Found, Summary

PHASES = {"search": "searching", "leaders": "scoring the leaders anew", "fresh": "scoring the best anew"}


class SearchLog:
    """`with SearchLog(console) as log: search(config, log.update)`."""

    def __init__(self, console: Console, interval: float = INTERVAL) -> None:
        self.console, self._pace = console, Pace(interval)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Bar(*columns, TextColumn("{task.fields[note]}"), console=console, disable=not console.is_terminal)
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> SearchLog:
        self.bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.__exit__(None, None, None)

    def update(self, state: Progress) -> None:
        """Shows a state of the search."""
        if self.console.is_terminal:
            if state.phase not in self._tasks:
                self._tasks[state.phase] = self.bar.add_task(PHASES.get(state.phase, state.phase), note="")
            task = self._tasks[state.phase]
            self.bar.update(task, completed=state.done, total=state.total, note=status(state))  # type: ignore[arg-type]
            return
        if self._pace.due(state.phase, state.done == state.total):
            what = PHASES.get(state.phase, state.phase)
            line = f"{time.strftime('%H:%M:%S')} {what}: {state.done}/{state.total}, {status(state)}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def status(state: Progress) -> str:
    """What there is to know in one line."""
    parts = []
    if state.best is not None and state.best_params is not None and state.best_macs is not None:
        size = f"{format_count(state.best_params)} params, {format_count(state.best_macs)} MACs"
        start = "" if state.start is None else f", start {state.start:.4f}"
        parts.append(f"best {state.best:.4f} ({size}{start})")
    counts = {
        "over limits": state.over_limits,
        "too slow": state.too_slow,
        "duplicates": state.duplicates,
        "failed": state.failed,
    }
    parts += [f"{count} {what}" for what, count in counts.items() if count]
    if state.phase == "search" and state.per_hour:
        parts.append(f"{state.per_hour:.0f} an hour")
        if state.seconds_left is not None:
            parts.append(f"{_duration(state.seconds_left)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    """90 -> `1:30`; 3700 -> `1:01:40`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary_lines(summary: Summary) -> list[str]:
    """What a person wants to know at the end."""
    lines = [
        f"evaluated {summary.evaluated} networks in {summary.seconds:.0f} s ({summary.duplicates} duplicates, "
        f"{summary.over_limits} over the limits, {summary.too_slow} too slow, {summary.failed} without a score)",
        f"start  {_found(summary.start)}",
        f"best   {_found(summary.best)}",
        f"gain   {_gain(summary)}",
    ]
    for member in summary.members:
        if member.lead is not None and member.best is not None and member.start is not None:
            error = f" +- {member.lead_se:.4g}" if member.lead_se else ""
            values = f"{member.start:.6g} -> {member.best:.6g}"
            verdict = "better" if member.lead >= 0 else "worse"
            lines.append(f"       {member.metric:20} {values:28} {verdict} by {abs(member.lead):.4g}{error}")
    if summary.tidied:
        params = sum(removal.params for removal in summary.tidied)
        lines.append(f"tidied {len(summary.tidied)} things that did nothing, {format_count(params)} parameters")
    if summary.front:
        lines.append(f"front  {len(summary.front)} networks, hypervolume {summary.hypervolume:.4f}")
    if summary.best.key == summary.start.key:
        lines.append("no candidate beat the start on fresh seeds; more --iterations may")
    if summary.stopped:
        lines.append(f"stopped early: {summary.stopped}")
    return [*lines, "wrote", *(f"  {file}" for file in summary.files)]


def _gain(summary: Summary) -> str:
    if summary.gain is None:
        return "unknown: a score on fresh seeds failed"
    return f"{summary.gain:.4f} +- {summary.gain_se:.4f} on seeds that the search never used"


def _found(found: Found) -> str:
    score = "no score" if found.score is None else f"{found.score:.4f}"
    error = "" if found.score_se is None else f" +- {found.score_se:.4f}"
    latency = "".join(f"   {1000 * seconds:.3g} ms {metric}" for metric, seconds in found.latency.items())
    return f"{score}{error}   {format_count(found.params)} parameters   {format_count(found.macs)} MACs{latency}"
