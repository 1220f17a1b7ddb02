"""What all commands share: how they print, how they fail, and the options that mean the same everywhere.

Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage or input that is not valid.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from .. import blocks
from ..blocks.networks import named_or_file
from ..errors import GenotypeError, UninasError
from ..genotype import Genotype
from ..units import parse_size

out = Console()
err = Console(stderr=True)

TRAINING_PACKAGES = ("mmengine", "mmcv", "mmdet", "mmseg", "sklearn", "omegaconf", "torchvision")
"""What the extra `mm` brings. (`uninas.ranking` says itself what it misses.)"""


def option(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A parsing function for typer: what it refuses becomes wrong usage of the option."""

    def parser(value: Any) -> Any:
        try:
            return parse(value) if isinstance(value, str) else value  # a default may be parsed already
        except UninasError as error:
            raise typer.BadParameter(str(error)) from None

    return parser


GenotypeArgument = Annotated[str, typer.Argument(metavar="GENOTYPE", help="A file, or the name of a known network.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
InputSize = Annotated[
    Any, typer.Option(parser=option(parse_size), metavar="SIZE", help="Image side, or HEIGHTxWIDTH, in pixels.")
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="What scores: cpu, cuda, cuda:1.")]


def read_genotype(text: str) -> Genotype:
    """A genotype from a file, or a known network by name."""
    if text not in blocks.KNOWN and not Path(text).exists():
        known = ", ".join(blocks.KNOWN)
        raise GenotypeError(f"there is no such file, and no network of that name; known networks: {known}", text)
    return named_or_file(text)


def print_json(data: Any) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(data, indent=1))


def fail(error: Exception, code: int) -> int:
    """Prints an error in one line (or a line each) and returns the exit code."""
    err.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
    return code


def usage(parse: Callable[[], Any]) -> Any:
    """The result of `parse`; what it refuses is wrong usage, exit code 2."""
    try:
        return parse()
    except UninasError as error:
        raise typer.Exit(fail(error, 2)) from None


def run(application: typer.Typer, arguments: list[str] | None = None) -> NoReturn:
    """Runs an application the way `uninas` does and exits: our errors without a traceback, the codes of this file."""
    try:
        application(arguments)  # exits by itself: 0, 1 when aborted, 2 for wrong usage
    except UninasError as error:
        sys.exit(fail(error, error.exit_code))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAINING_PACKAGES:
            raise
        remedy = 'pip install "uninas-toolkit[mm]"'
        sys.exit(fail(UninasError(f"this needs {error.name}, which is not installed: {remedy}"), 1))
    sys.exit(0)
