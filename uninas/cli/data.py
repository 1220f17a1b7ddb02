"""`uninas data`: small data sets in real formats, and checks of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .application import Application
from .common import Force, JsonOption, ProtocolArgument, Seed, meaning, print_json
from .overrides import SetOption

app = Application(help="Small data sets in real formats, and checks of real ones.")


@app.command("make")
def make_data(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="tiny-imagenet, digits, tiny-coco, tiny-ade or tiny-relations.",
            autocompletion=completion.data_sets,
        ),
    ],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder; default: data/KIND.")] = None,
    folder: Annotated[Path | None, typer.Argument(hidden=True)] = None,
    seed: Seed = 0,
    train: Annotated[int | None, typer.Option(min=1, metavar="N", help="Training images.")] = None,
    val: Annotated[int | None, typer.Option(min=1, metavar="N", help="Validation images.")] = None,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Writes a small data set in a real format: for trying things out, and for tests."""
    from ..toydata import make

    if out is not None and folder is not None:
        raise typer.BadParameter("one folder is written: --out DIR")
    target = out or folder or Path("data", kind)
    sizes = {key: value for key, value in (("train", train), ("val", val)) if value is not None}
    counts = make(kind, target, seed, force, **sizes)
    if as_json:
        print_json({"kind": kind, "out": str(target), "seed": seed, **counts})
        return
    typer.echo(f"{target}: {counts['classes']} classes, {counts['train']} training, {counts['val']} held-out images")


@app.command("check")
def check_data(
    name: ProtocolArgument,
    data_root: Annotated[Path, typer.Argument(metavar="DIR", help=meaning("data_root"))],
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Checks that a data set is the one a protocol describes."""
    from ..engine import protocol

    plan = protocol.load(name, protocol.parse_changes(changes or []))

    from ..engine.check import check

    notes = check(plan, data_root)
    if as_json:
        print_json({"protocol": name, "data_root": str(data_root), "notes": list(notes)})
        return
    for note in notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{data_root}: fits the protocol {name}")
