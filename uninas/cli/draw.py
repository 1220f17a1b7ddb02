"""`uninas draw`: a network as a figure. `uninas diff`: what two networks differ in, in words and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import completion
from .common import Classes, Force, GenotypeArgument, InputSize, JsonOption, meaning, print_json, read_genotype

Width = Annotated[
    float, typer.Option(min=4, max=100, metavar="CM", help="Width of the figure: 8 is a column, 17 a page.")
]
Other = Annotated[str, typer.Argument(metavar="OTHER", help=meaning("genotype"), autocompletion=completion.genotypes)]


def draw(
    genotype: GenotypeArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="What to write: .svg, .pdf or .png (300 dpi).")],
    input_size: InputSize = "224",
    classes: Classes = 1000,
    width: Width = 8.0,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Draws a network for a paper: stages and blocks, and each distinct sub-block once, operation by operation.

    Text is 6 pt at any --width; a wider figure puts more sub-blocks side by side.
    """
    from ..report.drawing.figure import draw_network

    _check(out, force)
    found = read_genotype(genotype)
    figure = draw_network(found, input_size, classes, centimetres=width)
    _write(figure, out)
    if as_json:
        print_json({"key": found.key, "out": str(out), "width_cm": figure.centimetres})
    else:
        typer.echo(f"wrote {out}, {figure.centimetres:g} cm wide")


def diff(
    genotype: GenotypeArgument,
    other: Other,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also draw OTHER with what is new in it marked: .svg, .pdf, .png."),
    ] = None,
    input_size: InputSize = "224",
    classes: Classes = 1000,
    width: Width = 8.0,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Says what has to be done to the first network to make it the second."""
    from ..genotype import cost
    from ..report.difference import difference, grouped
    from ..report.drawing.figure import draw_network
    from ..units import format_count

    if out is not None:
        _check(out, force)
    first, second = read_genotype(genotype), read_genotype(other)
    found = difference(first, second)
    before, after = (cost(network, input_size, classes) for network in (first, second))
    if out is not None:
        notes = [f"marked: what differs from {first.name or first.key[:12]}"]
        _write(draw_network(second, input_size, classes, found.after, notes, width), out)
    if as_json:
        report = {
            "key": {"before": first.key, "after": second.key},
            "params": {"before": before.params, "after": after.params},
            "macs": {"before": before.macs, "after": after.macs},
            "input_size": list(before.input_size),
            "changes": [change._asdict() for change in found.changes],
        }
        print_json({**report, "out": str(out)} if out is not None else report)
        return
    for change, places in grouped(found.changes):
        others = f" and {places - 1} other{'s' if places > 2 else ''}" if places > 1 else ""
        typer.echo(f"{SIGNS[change.kind]} {change.where}{others}  {change.what}")
    if not found.changes:
        typer.echo("no difference: the keys are equal")
    height, width_ = before.input_size
    typer.echo(f"parameters  {format_count(before.params)} -> {format_count(after.params)}")
    typer.echo(
        f"MACs        {format_count(before.macs)} -> {format_count(after.macs)}  at {height} x {width_}, one image"
    )
    if out is not None:
        typer.echo(f"wrote {out}")


SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _check(out: Path, force: bool) -> None:
    """Whether the file can be written, before anything is computed."""
    from ..report.drawing.image import image_format
    from ..report.files import check_target

    image_format(out)
    check_target(out, force)


def _write(figure: Any, out: Path) -> None:
    from ..report.drawing.image import figure_bytes, image_format
    from ..report.files import write_file

    write_file(out, figure_bytes(figure, image_format(out)))
