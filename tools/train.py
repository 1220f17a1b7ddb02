"""Trains a genotype: `uninas train` as a script, also for torchrun. `--help` lists the options."""

import sys

import typer

from uninas.cli import run
from uninas.engine.commands import train
from uninas.engine.options import spread

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(train)

if __name__ == "__main__":
    run(app, spread(sys.argv[1:]))
