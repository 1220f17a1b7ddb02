"""`uninas tabulate`: a table of trained networks, for judging scores by."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ..engine.tabulate.config import TabulateConfig
from .common import JsonOption, err, print_json, usage
from .settings import with_options

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the table.")]
Data = Annotated[Path, typer.Option("--data-root", metavar="DIR", help="Folder of the data that the protocol names.")]
INTERVAL = 60.0
"""Seconds between two lines of progress."""


@with_options(TabulateConfig, skip=("out", "data_root"))
def tabulate(settings: dict[str, Any], out: Out, data_root: Data, as_json: JsonOption = False) -> None:
    """Trains networks of a space alike and writes what they reach: a table that scores are judged by.

    Networks are drawn in narrow bands of size, from scratch and by walks from all starts, and trained by one protocol;
    some with several seeds. Every row is on disk when its training ends: kill it at any moment, --resume goes on.
    """
    from ..engine.tabulate.run import Progress
    from ..engine.tabulate.run import tabulate as run_tabulate

    config = usage(lambda: TabulateConfig.parse({**settings, "out": out, "data_root": data_root}))
    last = -INTERVAL

    def report(state: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= INTERVAL or state.done == state.total:
            last = now
            left = "" if state.seconds_left is None else f", {state.seconds_left / 60:.0f} min left"
            line = f"{time.strftime('%H:%M:%S')} trained {state.done}/{state.total}, {state.failed} failed{left}"
            err.print(line, markup=False, highlight=False, soft_wrap=True)

    table = run_tabulate(config, report)
    rows = list(table.rows())
    failed = sum(bool(row.failure) for row in rows)
    if as_json:
        print_json({"out": str(out), "rows": len(rows), "networks": len({row.key for row in rows}), "failed": failed})
        return
    typer.echo(f"{out}: {len(rows)} trainings of {len({row.key for row in rows})} networks, {failed} failed")
