"""`uninas report`: a study, or several side by side, as one HTML file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, err, print_json

NAME = "report.html"


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of searches, finished or running.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"What to write; default: {NAME} in the first RUN.")
    ] = None,
    trained: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Results of trained networks: a column key, and columns of numbers."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is no report of uninas.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Makes a page of a study that opens from disk: networks as drawings, plots, and a table of all candidates.

    Only reads the study, also while the search runs. A report of before is replaced.
    """
    from ..report.html.write import write

    start = time.perf_counter()
    with _Line() as line:
        found = write(folders, out, trained, force, line.update)
    if as_json:
        print_json(found)
    else:
        size = found["bytes"] / 1e6
        took = time.perf_counter() - start
        typer.echo(f"wrote {found['out']}: {found['candidates']:,} networks, {size:.1f} MB, in {took:.0f} s")


class _Line:
    """A bar while networks are drawn, where there is a terminal."""

    def __enter__(self) -> _Line:
        from rich.progress import Progress

        self._bar = Progress(console=err, disable=not err.is_terminal, transient=True)
        self._task = self._bar.add_task("drawing networks", total=None)
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)
