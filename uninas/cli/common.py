"""What all commands share: how they print, how they fail, and the options that mean the same everywhere.

Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage or input that is not valid.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from ..errors import UninasError
from ..units import parse_size
from . import completion
from .application import print_json

if TYPE_CHECKING:
    from ..genotype import Genotype

__all__ = ["err", "fail", "option", "out", "print_json", "read_genotype", "run", "usage"]

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


MEANING = {
    "genotype": "A genotype file, or the name of a known network.",
    "input_size": "Image side, or HEIGHTxWIDTH, in pixels.",
    "batch": "Images of a batch.",
    "classes": "Classes of the head.",
    "device": "What computes: cpu, cuda, cuda:1.",
    "workers": "Processes that work at once.",
    "threads": "CPU threads of a process.",
    "seed": "The same seed gives the same result.",
    "proxy": "Training-free scores by name.",
    "protocol": "Training protocol: a name of `uninas protocol list`, or a file.",
    "space": "Search space: a name in spaces/, or a file.",
    "data_root": "Folder of the data set that the protocol is for.",
    "force": "Replace what is there.",
    "as_json": "Print one JSON object instead of text.",
}
"""What an option means, in every command that has it; one may add a sentence of its own."""


def meaning(name: str, more: str = "") -> str:
    """The help of an option that several commands have."""
    return f"{MEANING[name]} {more}".strip()


GenotypeArgument = Annotated[
    str, typer.Argument(metavar="GENOTYPE", help=meaning("genotype"), autocompletion=completion.genotypes)
]
ProtocolOption = Annotated[
    str, typer.Option("--protocol", metavar="PROTOCOL", help=meaning("protocol"), autocompletion=completion.protocols)
]
ProtocolArgument = Annotated[
    str, typer.Argument(metavar="PROTOCOL", help=meaning("protocol"), autocompletion=completion.protocols)
]
DataRoot = Annotated[Path, typer.Option("--data-root", metavar="DIR", help=meaning("data_root"))]
JsonOption = Annotated[bool, typer.Option("--json", help=meaning("as_json"))]
InputSize = Annotated[Any, typer.Option(parser=option(parse_size), metavar="SIZE", help=meaning("input_size"))]
Classes = Annotated[int, typer.Option(min=0, metavar="N", help=meaning("classes", "0 stands for the backbone alone."))]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help=meaning("threads"))]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help=meaning("workers"))]
Device = Annotated[str, typer.Option(metavar="DEVICE", help=meaning("device"))]
Batch = Annotated[int, typer.Option(min=1, metavar="N", help=meaning("batch"))]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help=meaning("seed"))]
Force = Annotated[bool, typer.Option("--force", help=meaning("force"))]


def read_genotype(text: str) -> Genotype:
    """A genotype from a file, or a known network by name."""
    from ..blocks import networks  # here, so that `--help` does without

    return networks.read_genotype(text)


def fail(error: Exception | str, code: int) -> int:
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
    except OSError as error:  # a folder that is a file, a disk that is full; not ours to foresee everywhere
        what = error.strerror or str(error) or type(error).__name__
        sys.exit(fail(what if error.filename is None else f"{error.filename}: {what}", 1))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAINING_PACKAGES:
            raise
        sys.exit(fail(f'this needs {error.name}, which is not installed: pip install "uninas-toolkit[mm]"', 1))
    sys.exit(0)
