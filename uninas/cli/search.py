"""`uninas search`: a network within limits, guided by training-free scores."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import yaml_files
from ..errors import ResourceError, StudyError
from ..search.config import SearchConfig
from .common import JsonOption, err, print_json, usage
from .report import write_after_search
from .settings import as_options, with_options

Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of the study; default: runs/DATE-TIME.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the strategy, such as population=64."),
]
Report = Annotated[
    bool, typer.Option("--report/--no-report", help="Also write report.html, a page of the study.", show_default=False)
]


@with_options(SearchConfig, skip=("out", "strategy_settings"))
def search(
    settings: dict[str, Any], out: Out = None, set: Set = None, report: Report = True, as_json: JsonOption = False
) -> None:
    """Searches a backbone: walks a space of networks, guided by training-free scores, within limits on cost.

    Writes study.sqlite (every candidate), best.yaml (the network found), summary.json and, to be looked at, report.html
    in --out. The best network's
    score is measured anew, on seeds that the search never used. Kill it at any moment: --resume goes on.
    """
    settings["out"] = out or Path("runs", time.strftime("%Y-%m-%d-%H%M%S"))
    config = usage(lambda: as_options(SearchConfig, {**settings, "strategy_settings": _pairs(set or [])}))

    from ..report.progress import SearchLog, summary_lines
    from ..search.run import search as run_search  # with torch, after what is answered without

    with SearchLog(err) as log:
        summary = run_search(config, log.update)
    if report:
        summary.files += write_after_search(config.out)
    if as_json:
        print_json(summary.model_dump(mode="json"))
        return
    for line in summary_lines(summary):
        typer.echo(line)


def _pairs(texts: list[str]) -> dict[str, Any]:
    """`population=64` as data; values are read as YAML."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise StudyError(f"--set {text}: write KEY=VALUE, such as population=64")
        try:
            found[key.strip()] = yaml_files.parse(value)
        except ResourceError as error:
            raise StudyError(f"--set {text}: {error}") from None
    return found
