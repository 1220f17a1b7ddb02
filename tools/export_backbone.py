"""Writes a genotype as a config for stock mmdet or mmseg: `uninas export-backbone` as a script."""

import sys

import typer

from uninas.cli import run
from uninas.engine.commands import export_backbone
from uninas.engine.options import spread

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(export_backbone)

if __name__ == "__main__":
    run(app, spread(sys.argv[1:]))
