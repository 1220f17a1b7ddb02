"""The `uninas` command: one typer application; every sub-command is a thin layer over a function of the package."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from . import data, openmmlab, protocols, training
from .application import Application
from .common import err, fail, out, print_json, read_genotype, run, usage
from .convert import convert
from .demo import demo
from .draw import diff, draw
from .export import export
from .networks import cost_command, score, show, validate
from .overrides import spread
from .profile import compare, profile
from .race import race
from .rank import rank
from .report import report
from .search import search
from .study import study
from .tabulate import tabulate
from .tidy import tidy

__all__ = ["app", "err", "fail", "main", "out", "print_json", "read_genotype", "run", "usage"]

app = Application(completion=True)

app.command()(show)
app.command("cost")(cost_command)
app.command()(search)
app.command()(study)
app.command()(report)
app.command()(tidy)
app.command()(tabulate)
app.command()(race)
app.command()(score)
app.command()(profile)
app.command()(compare)
app.command()(validate)
app.command()(draw)
app.command()(diff)
app.command()(export)
app.command()(convert)
app.command()(rank)
app.command()(training.train)
app.command()(training.test)
app.command()(training.predict)
app.command("export-backbone")(openmmlab.export_backbone)
app.command()(openmmlab.doctor)
app.command()(demo)
app.add_typer(protocols.app, name="protocol")
app.add_typer(data.app, name="data")
app.add_typer(openmmlab.app, name="mm")


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
