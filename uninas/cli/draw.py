"""`uninas draw`: a network as a figure. `uninas diff`: what two networks differ in, in words and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from . import completion
from .common import Classes, Force, GenotypeArgument, InputSize, JsonOption, meaning, print_json, read_genotype

Width = Annotated[
    float, typer.Option(min=4, max=100, metavar="CM", help="Width of the figure: 8 is a column, 17 a page.")
]
Height = Annotated[
    float,
    typer.Option("--max-height", min=10, max=1000, metavar="CM", help="Height of a page; more goes on the next page."),
]
Other = Annotated[str, typer.Argument(metavar="OTHER", help=meaning("genotype"), autocompletion=completion.genotypes)]


def draw(
    genotype: GenotypeArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="What to write: .svg, .pdf or .png (300 dpi).")],
    input_size: InputSize = "224",
    classes: Classes = 1000,
    width: Width = 8.0,
    max_height: Height = 22.0,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Draws a network for a paper: stages and blocks, and each distinct sub-block once, operation by operation.

    Text is 6 pt at any --width; a wider figure puts more sub-blocks side by side. A network that needs more than a page
    goes on on the next: of a PDF, or in files NAME-1.svg, NAME-2.svg, ...
    """
    from ..report.drawing.figure import draw_pages

    _check(out, force)
    found = read_genotype(genotype)
    pages = draw_pages(found, input_size, classes, centimetres=width, height=max_height)
    written = _write(pages, out, force)
    if as_json:
        size = {"width_cm": pages[0].centimetres, "heights_cm": [page.centimetres_high for page in pages]}
        print_json({"key": found.key, "out": [str(path) for path in written], **size})
        return
    sizes = [f"{page.centimetres:g} x {page.centimetres_high:g} cm" for page in pages]
    if len(written) < len(pages):
        typer.echo(f"wrote {out}, {len(pages)} pages: {', '.join(sizes)}")
        return
    for path, text in zip(written, sizes):
        typer.echo(f"wrote {path}, {text}")


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
    max_height: Height = 22.0,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Says what two networks differ in: what has to be done to the first to make it the second."""
    from ..genotype import cost
    from ..report.difference import difference, grouped
    from ..report.drawing.figure import draw_pages
    from ..units import format_count

    if out is not None:
        _check(out, force)
    first, second = read_genotype(genotype), read_genotype(other)
    found = difference(first, second)
    before, after = (cost(network, input_size, classes) for network in (first, second))
    written: list[Path] = []
    if out is not None:
        notes = [f"marked: what differs from {first.name or first.key[:12]}"]
        pages = draw_pages(second, input_size, classes, found.after, notes, width, max_height)
        written = _write(pages, out, force)
    if as_json:
        report = {
            "key": {"before": first.key, "after": second.key},
            "params": {"before": before.params, "after": after.params},
            "macs": {"before": before.macs, "after": after.macs},
            "input_size": list(before.input_size),
            "changes": [change._asdict() for change in found.changes],
        }
        print_json({**report, "out": [str(path) for path in written]} if out is not None else report)
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
    for path in written:
        typer.echo(f"wrote {path}")


SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _check(out: Path, force: bool) -> None:
    """Whether the file can be written, before anything is computed."""
    from ..report.drawing.image import image_format
    from ..report.files import check_target

    image_format(out)
    check_target(out, force)


def _write(pages: Sequence[Any], out: Path, force: bool) -> list[Path]:
    """Writes the pages of a figure; returns the files."""
    from ..files import write_bytes
    from ..report.drawing.image import page_files
    from ..report.drawing.layout import DrawingError
    from ..report.files import check_target

    files = page_files(pages, out)
    for path in files:
        check_target(path, force)
    for path, content in files.items():
        write_bytes(path, content, DrawingError)
    return list(files)
