"""The `uninas` command: one typer application; every sub-command is a thin layer over a function of the package."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from ..engine import commands as training
from ..engine.options import spread
from .common import err, fail, out, print_json, read_genotype, run, usage
from .networks import cost_command, score, show, validate
from .rank import rank
from .search import search
from .study import study
from .tidy import tidy

__all__ = ["app", "err", "fail", "main", "out", "print_json", "read_genotype", "run", "usage"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

app.command()(show)
app.command("cost")(cost_command)
app.command()(search)
app.command()(study)
app.command()(tidy)
app.command()(score)
app.command()(validate)
app.command()(rank)
app.command()(training.train)
app.command("export-backbone")(training.export_backbone)
app.command()(training.doctor)
app.add_typer(training.protocol_app, name="protocol")
app.add_typer(training.data_app, name="data")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """uninas finds vision backbones: give a limit, get a network, train it with MMEngine."""
    if version:
        typer.echo(f"uninas-toolkit {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the console command."""
    run(app, spread(sys.argv[1:]))
