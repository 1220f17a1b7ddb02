"""`uninas report`: a study, or several side by side, as one HTML file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UninasError
from .common import JsonOption, err, print_json


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of searches, finished or running.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to write; default: report.html in the first RUN.")
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


def write_after_search(folder: Path) -> list[str]:
    """The report of a search that is done, and its name; where it cannot be made, the reason in a line: no fault of a
    report may make a search fail."""
    from ..report.html.write import write

    try:
        with _Line() as line:
            return [write([folder], progress=line.update)["out"]]
    except UninasError as error:
        reason = str(error)
    except Exception as error:  # the search is done, whatever this is
        reason = f"{type(error).__name__}: {error}; please report this"
    err.print(f"no report: {reason}", markup=False, highlight=False, soft_wrap=True)
    return []


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
