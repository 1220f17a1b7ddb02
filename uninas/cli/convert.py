"""`uninas convert`: between our files and those of the package by the paper's authors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..units import format_count, parse_size
from . import completion
from .common import Force, JsonOption, meaning, option, print_json


def convert(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A JSON file of theirs; or a genotype file, or the name of a known network.",
            autocompletion=completion.genotypes,
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="uninas or official. Default: the one that FILE is not in."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to write. Default: FILE with the other suffix.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The network's state dict, .pth, .pt or .safetensors: converted to a file beside --out.",
        ),
    ] = None,
    input_size: Annotated[
        Any,
        typer.Option(
            parser=option(parse_size),
            metavar="SIZE",
            help=meaning("input_size", "With --to official. Default: what tables of position biases are for, or 224."),
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=meaning("classes", "With --to official. Default: those of the weights, or 1000."),
        ),
    ] = None,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Converts networks of the paper authors' package, uninas 1.3.0 on PyPI, to ours and back, with their weights.

    A network that one of the two formats cannot hold is not converted: the error names the first thing that has no
    counterpart, and where it is.
    """
    from ..convert.errors import ConvertError
    from ..convert.run import convert as convert_file

    if input_size is not None and input_size[0] != input_size[1]:
        raise ConvertError(f"their images are square, not {input_size[0]} x {input_size[1]}", "--input-size")
    done = convert_file(
        file,
        to,
        out=out,
        weights=weights,
        input_size=input_size[0] if input_size is not None else None,
        num_classes=classes,
        force=force,
    )
    if as_json:
        facts = {"key": done.genotype.key, "params": done.params, "input_size": [done.img_size] * 2}
        files = [str(file) for file in done.files]
        print_json({"to": done.to, "files": files, **facts, "classes": done.num_classes, "notes": list(done.notes)})
        return
    for note in done.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{done.params:,} parameters ({format_count(done.params)}) with {done.num_classes} classes")
    typer.echo("\n".join(f"written: {path}" for path in done.files))
