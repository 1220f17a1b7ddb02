"""A figure as the bytes of a file: SVG by our templates, PNG and PDF from that by cairosvg."""

from __future__ import annotations

from pathlib import Path

from .figure import Figure
from .layout import DrawingError
from .svg import figure_svg

FORMATS = (".svg", ".png", ".pdf")
DPI = 300
"""Of PNG files."""
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


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure in one of FORMATS; SVG and PDF without a background, PNG on white.

    Raises:
        DrawingError: what the format needs is not installed.
    """
    svg = figure_svg(figure, background=kind == ".png")
    if kind == ".svg":
        return svg.encode()
    try:
        import cairosvg
    except ModuleNotFoundError:
        raise DrawingError(f'{kind} needs cairosvg: pip install "uninas-toolkit[report]", or write .svg') from None
    except OSError as error:  # the package is there, the system's library is not
        remedy = "install it (Debian: apt-get install libcairo2; macOS: brew install cairo), or write .svg"
        raise DrawingError(f"{kind} needs the cairo library: {remedy} ({str(error).splitlines()[0]})") from None
    if kind == ".png":
        width = round(figure.centimetres * PIXELS_PER_CENTIMETRE)
        return cairosvg.svg2png(bytestring=svg.encode(), output_width=width) or b""
    return cairosvg.svg2pdf(bytestring=svg.encode()) or b""
