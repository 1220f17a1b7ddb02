"""A search on the terminal: a progress bar while it runs, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..units import format_count

if TYPE_CHECKING:
    from ..search.summary import Found, Summary
    from ..search.summary import Progress as State

PHASES = {"search": "searching", "leaders": "scoring the leaders anew", "fresh": "scoring the best anew"}


class SearchBar:
    """`with SearchBar(console) as bar: search(config, bar.update)`."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
        self.progress = Progress(*columns, *times, console=console, disable=not console.is_terminal)
        self.tasks: dict[str, int] = {}

    def __enter__(self) -> SearchBar:
        self.progress.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.__exit__(None, None, None)

    def update(self, state: State) -> None:
        """Shows a state of the search."""
        if state.phase not in self.tasks:
            self.tasks[state.phase] = self.progress.add_task(PHASES.get(state.phase, state.phase), note="")
        note = "" if state.current is None else f"score {state.current:.4f}"
        if state.start is not None and note:
            note += f" (start {state.start:.4f})"
        task = self.tasks[state.phase]
        self.progress.update(task, completed=state.done, total=state.total, note=note)  # type: ignore[arg-type]


def summary_lines(summary: Summary) -> list[str]:
    """What a person wants to know at the end."""
    lines = [
        f"evaluated {summary.evaluated} networks in {summary.seconds:.0f} s "
        f"({summary.duplicates} duplicates, {summary.rejected} over the limits, {summary.failed} without a score)",
        f"start  {_found(summary.start)}",
        f"best   {_found(summary.best)}",
        f"gain   {summary.gain:.4f} +- {summary.gain_se:.4f} on seeds that the search never used",
    ]
    if summary.best.key == summary.start.key:
        lines.append("no candidate beat the start on fresh seeds; more --iterations may")
    if summary.stopped:
        lines.append(f"stopped early: {summary.stopped}")
    return [*lines, "wrote", *(f"  {file}" for file in summary.files)]


def _found(found: Found) -> str:
    score = "no score" if found.score is None else f"{found.score:.4f}"
    error = "" if found.score_se is None else f" +- {found.score_se:.4f}"
    return f"{score}{error}   {format_count(found.params)} parameters   {format_count(found.macs)} MACs"
