"""A figure as the bytes of files: SVG by our templates, PNG and PDF from that by cairosvg."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .figure import Figure
from .layout import DrawingError
from .svg import figure_svg

FORMATS = (".svg", ".png", ".pdf")
DPI = 300
"""Of PNG files."""
PIXELS_PER_INCH = 96
"""Of CSS, in which SVG is measured."""
PIXELS_PER_CENTIMETRE = DPI / 2.54


def image_format(path: Path) -> str:
    """The ending of a file's name.

    Raises:
        DrawingError: it is none of FORMATS.
    """
    if path.suffix.lower() not in FORMATS:
        raise DrawingError(
            f"{path}: a drawing is written as one of {', '.join(FORMATS)}; end the name with one of them"
        )
    return path.suffix.lower()


def page_files(pages: Sequence[Figure], path: Path) -> dict[Path, bytes]:
    """What is to be written: a PDF has all pages; of other formats each page is a file, `NAME-1.svg`, `NAME-2.svg`, ...

    A single page is the file itself. SVG and PDF have no background, PNG is on white.

    Raises:
        DrawingError: the name's ending is none of FORMATS, or what the format needs is not installed.
    """
    kind = image_format(path)
    if kind == ".pdf":
        return {path: _pdf(pages)}
    names = [path] if len(pages) == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(len(pages))]
    return {name: figure_bytes(page, kind) for name, page in zip(names, pages)}


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """One page in one of FORMATS.

    Raises:
        DrawingError: what the format needs is not installed.
    """
    if kind == ".pdf":
        return _pdf([figure])
    svg = figure_svg(figure, background=kind == ".png").encode()
    if kind == ".svg":
        return svg
    width = round(figure.centimetres * PIXELS_PER_CENTIMETRE)
    return _cairosvg(kind).svg2png(bytestring=svg, output_width=width) or b""


def _pdf(pages: Sequence[Figure]) -> bytes:
    _cairosvg(".pdf")
    from cairosvg.parser import Tree
    from cairosvg.surface import PDFSurface, cairo

    output = io.BytesIO()
    canvas: list[Any] = []

    def surface(_: object, width: float, height: float) -> Any:
        """cairosvg makes a file of each drawing; all of ours are drawn on one."""
        if canvas:
            canvas[0].show_page()
            canvas[0].set_size(width, height)
        else:
            canvas.append(cairo.PDFSurface(output, width, height))
        return canvas[0]

    class Pages(PDFSurface):
        surface_class = staticmethod(surface)

    for page in pages:
        Pages(Tree(bytestring=figure_svg(page).encode()), output, PIXELS_PER_INCH)
    canvas[0].finish()
    return output.getvalue()


def _cairosvg(kind: str) -> Any:
    try:
        import cairosvg
    except ModuleNotFoundError:
        raise DrawingError(f'{kind} needs cairosvg: pip install "uninas-toolkit[report]", or write .svg') from None
    except OSError as error:  # the package is there, the system's library is not
        remedy = "install it (Debian: apt-get install libcairo2; macOS: brew install cairo), or write .svg"
        raise DrawingError(f"{kind} needs the cairo library: {remedy} ({str(error).splitlines()[0]})") from None
    return cairosvg
