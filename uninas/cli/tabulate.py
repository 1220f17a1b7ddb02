"""`uninas tabulate`: a table of trained networks, for judging scores by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..engine.tabulate.config import TabulateConfig
from .common import DataRoot, JsonOption, err, print_json, usage
from .progress import ProgressLog
from .settings import as_options, with_options

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the table.")]


@with_options(TabulateConfig, skip=("out", "data_root"))
def tabulate(settings: dict[str, Any], out: Out, data_root: DataRoot, as_json: JsonOption = False) -> None:
    """Trains networks of a space alike: writes what they reach, a table that scores are judged by.

    Networks are drawn in narrow bands of size, from scratch and by walks from all starts, and trained by one protocol;
    some with several seeds. Every row is on disk when its training ends: kill it at any moment, --resume goes on.
    """
    config = usage(lambda: as_options(TabulateConfig, {**settings, "out": out, "data_root": data_root}))

    from ..engine.tabulate.run import Progress
    from ..engine.tabulate.run import tabulate as run_tabulate

    with ProgressLog(err, "training") as log:

        def report(state: Progress) -> None:
            log.update(state.done, state.total, note=f", {state.failed} failed" if state.failed else "")

        table = run_tabulate(config, report)
    rows = list(table.rows())
    failed = sum(bool(row.failure) for row in rows)
    if as_json:
        print_json({"out": str(out), "rows": len(rows), "networks": len({row.key for row in rows}), "failed": failed})
        return
    typer.echo(f"{out}: {len(rows)} trainings of {len({row.key for row in rows})} networks, {failed} failed")
