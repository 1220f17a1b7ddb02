"""`uninas report`: a study, or several side by side, as one HTML file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UninasError
from .common import Force, JsonOption, err, print_json
from .progress import ProgressLog

DRAWING = "drawing networks"


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of searches, finished or running.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to write; default: report.html in the first RUN.")
    ] = None,
    trained: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Results of trained networks: a column key, and columns of numbers."),
    ] = None,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Makes a page of a study that opens from disk: networks as drawings, plots, and a table of all candidates.

    Only reads the study, also while the search runs. A report of before is replaced, any other file with --force alone.
    """
    from ..report.html.write import write

    start = time.perf_counter()
    with ProgressLog(err, DRAWING, transient=True) as log:
        found = write(folders, out, trained, force, log.update)
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
        with ProgressLog(err, DRAWING, transient=True) as log:
            return [write([folder], progress=log.update)["out"]]
    except UninasError as error:
        reason = str(error)
    except Exception as error:  # the search is done, whatever this is
        reason = f"{type(error).__name__}: {error}; please report this"
    err.print(f"no report: {reason}", markup=False, highlight=False, soft_wrap=True)
    return []
