"""`uninas data`: small data sets in real formats, and checks of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, print_json
from .overrides import SetOption

app = typer.Typer(no_args_is_help=True, help="Small data sets in real formats, and checks of real ones.")


@app.command("make")
def make_data(
    kind: Annotated[str, typer.Argument(help="tiny-imagenet, digits, tiny-coco or tiny-ade.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 0,
    train: Annotated[int | None, typer.Option(min=1, help="Training images.")] = None,
    val: Annotated[int | None, typer.Option(min=1, help="Validation images.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a data set that was made here before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Writes a small data set in a real format: for trying things out, and for tests."""
    from ..toydata import make

    sizes = {key: value for key, value in (("train", train), ("val", val)) if value is not None}
    counts = make(kind, directory, seed, force, **sizes)
    if as_json:
        print_json({"kind": kind, "directory": str(directory), "seed": seed, **counts})
        return
    typer.echo(f"{directory}: {counts['classes']} classes, {counts['train']} training, {counts['val']} held-out images")


@app.command("check")
def check_data(
    name: Annotated[str, typer.Argument(metavar="PROTOCOL", help="The protocol that the data set is for.")],
    data_root: Annotated[Path, typer.Argument(metavar="DIR", help="The data set's folder.")],
    changes: SetOption = None,
) -> None:
    """Checks that a data set is the one a protocol describes."""
    from ..engine import protocol
    from ..engine.check import check

    for remark in check(protocol.load(name, protocol.parse_changes(changes or [])), data_root):
        typer.echo(f"note: {remark}")
    typer.echo(f"{data_root}: fits the protocol {name}")
