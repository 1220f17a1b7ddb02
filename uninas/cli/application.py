"""How the applications of uninas are made: what every command does, whatever it is for.

- Old spellings of options are understood, though no help tells them.
- With `--json`, standard output has the JSON object and nothing else, whoever prints meanwhile.
- A mistyped command or option is answered with the one that was meant (typer and click do).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from difflib import get_close_matches
from typing import Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

RENAMED = {
    "--columns": "--task",
    "--export": "--out",
    "--num-classes": "--classes",
    "--proxies": "--proxy",
    "--size": "--input-size",
    "--work-dir": "--out",
}
"""Options as they were called once; the old name is understood where the command has only the new one."""
PLACED = {"--genotype": "genotype", "--data-root": "data_root"}
"""What was an option once, or is one elsewhere, and is an argument here."""

_results: ContextVar[TextIO | None] = ContextVar("results", default=None)


class Application(typer.Typer):
    """A group of commands."""

    def __init__(self, help: str | None = None, *, completion: bool = False) -> None:
        super().__init__(
            help=help,
            cls=Group,
            no_args_is_help=True,
            add_completion=completion,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """As typer's, for commands of this module."""
        return super().command(name, cls=Command, **settings)


class Command(TyperCommand):
    """One command. Its help names arguments as they are typed, without Python's name of their type."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for param in self.params:
            if param.param_type_name == "argument":
                param.display_type = lambda ctx: ""  # type: ignore[method-assign]

    def get_short_help_str(self, limit: int = 45) -> str:
        return first_clauses(self.help or "", limit) or super().get_short_help_str(limit)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        try:
            return super().parse_args(ctx, spelled_anew(args, known))
        except Exception as error:  # click's NoSuchOption, of which typer may have a copy of its own
            typed = getattr(error, "option_name", "")
            if typed not in known and (
                close := get_close_matches(typed, [name for name in known if name.startswith("--")], n=1)
            ):
                error.__dict__.update(message=f"No such option: {typed}. Did you mean {close[0]}?", possibilities=None)
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        params = [param for param in self.params if getattr(param, "hidden", False)]
        hidden = {piece for param in params for piece in param.get_usage_pieces(ctx)}
        pieces = [piece for piece in super().collect_usage_pieces(ctx) if piece not in hidden]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def invoke(self, ctx: Any) -> Any:
        if not ctx.params.get("as_json"):
            return super().invoke(ctx)
        with only_json():
            return super().invoke(ctx)


class Group(TyperGroup):
    """Several commands."""

    def get_short_help_str(self, limit: int = 45) -> str:
        return first_clauses(self.help or "", limit) or super().get_short_help_str(limit)


def first_clauses(text: str, limit: int) -> str:
    """What a list of commands says: the first sentence, or as many whole clauses of it as have so many letters."""
    sentence = " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    clauses = re.split(r"[:;]", sentence, maxsplit=1)[0] if len(sentence) > limit else sentence
    while len(clauses) > limit and ", " in clauses:
        clauses = clauses.rpartition(", ")[0]
    return clauses if len(clauses) <= limit else ""


def spelled_anew(words: Sequence[str], known: Collection[str]) -> list[str]:
    """The words of a command with today's names of its options.

    Args:
        known: names of the command's options and arguments.
    """
    anew: list[str] = []
    places: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*anew, *places, word, *rest]
        name, equals, value = word.partition("=")
        if name not in known and RENAMED.get(name) in known:
            anew.append(RENAMED[name] + equals + value)
        elif name not in known and PLACED.get(name) in known:
            places.append(value if equals else next(rest, word))
        else:
            anew.append(word)
    return [*anew, *places]


@contextmanager
def only_json() -> Iterator[None]:
    """Inside, what anything prints goes to standard error, except for `print_json`."""
    token = _results.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results.reset(token)


def print_json(data: Any) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(data, indent=1), file=_results.get())
