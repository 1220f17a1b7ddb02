"""Drawings as SVG, written by the templates beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from .figure import Figure
from .layout import DrawingError
from .panel import Panel, Style

TEMPLATES = files("uninas.report.drawing").joinpath("templates")


@cache
def environment() -> Any:
    """jinja2's environment of these templates; it escapes what it is given.

    Raises:
        DrawingError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader
    except ModuleNotFoundError:
        raise DrawingError(
            'drawings need jinja2, which is not installed: pip install "uninas-toolkit[report]"'
        ) from None
    loader = PackageLoader("uninas.report.drawing", "templates")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def figure_svg(figure: Figure, background: bool = False) -> str:
    """A file of its own; with a white ground, where the format needs one."""
    css = TEMPLATES.joinpath("figure.css").read_text(encoding="utf-8")
    return environment().get_template("figure.svg.j2").render(figure=figure, css=_safe(css), background=background)


def panel_svg(panel: Panel, style: Style) -> str:
    """The inside of a drawing of one sub-block, without the `svg` element around it."""
    return str(_macros().panel(panel, style, titles=True))


@cache
def _macros() -> Any:
    return environment().get_template("panel.svg.j2").module


def _safe(text: str) -> Any:
    """Text of our own that is not to be escaped."""
    from markupsafe import Markup

    return Markup(text)
