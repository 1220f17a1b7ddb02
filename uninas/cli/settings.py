"""Options of a command from a pydantic class of settings: one for each field, with its default and its description."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Collection
from typing import Annotated, Any, Protocol, TypeVar

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ..errors import UninasError
from . import completion

NAMES = {"num_classes": "classes", "strategy_settings": "set"}
"""Settings that are called otherwise on the command line."""
METAVARS = {"input_size": "SIZE", "proxy_size": "SIZE", "num_classes": "N"}
COMPLETIONS = {
    "protocol": completion.protocols,
    "proxy": completion.proxies,
    "space": completion.spaces,
    "strategy": completion.strategies,
}
Parsed = TypeVar("Parsed", bound="Settings")


class Settings(Protocol):
    """A pydantic class that `with_options` makes options of."""

    @classmethod
    def parse(cls: type[Parsed], data: dict[str, Any]) -> Parsed: ...


def flag_of(name: str) -> str:
    """`--max-params` of max_params."""
    return f"--{NAMES.get(name, name).replace('_', '-')}"


def as_options(model: type[Parsed], data: dict[str, Any]) -> Parsed:
    """Settings from plain data, whose faults are named as options: `max_params: ...` becomes `--max-params: ...`."""
    try:
        return model.parse(data)
    except UninasError as error:
        fields, lines = model.model_fields, []  # type: ignore[attr-defined]

        def named(word: re.Match) -> str:
            return flag_of(word[0]) if word[0] in fields else word[0]

        for line in str(error).split("\n"):
            name, colon, rest = line.partition(":")
            name, bracket, index = name.partition("[")
            known = colon and name in fields
            lines.append(f"{flag_of(name)}{bracket}{index}:{rest}" if known else re.sub(r"\b\w+_\w+\b", named, line))
        raise type(error)("\n".join(lines)) from None


def with_options(model: type[BaseModel], skip: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable]:
    """Gives a function of `(settings, ...)` an option for every field of `model`.

    The function is called with a dictionary of the options that were given, so that pydantic alone knows defaults, and
    what is valid. Options of the function's own keep their place behind those of the model.

    Args:
        skip: fields that are no options, or that the function has options of its own for.
    """

    def decorate(function: Callable[..., None]) -> Callable:
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        names = [name for name in model.model_fields if name not in skip]
        made = [_parameter(name, model.model_fields[name]) for name in names]

        def command(**values: Any) -> None:
            given = {name: value for name in names if (value := values.pop(name)) is not None}
            function(given, **values)

        command.__doc__ = function.__doc__
        command.__name__ = function.__name__
        command.__signature__ = inspect.Signature([*made, *own])  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*made, *own]}
        return command

    return decorate


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """The option of a field: a flag for true and false, a number for numbers, text for all else."""
    plain = _plain(field.annotation)
    flag = flag_of(name)
    metavar = {int: "N", float: "X"}.get(plain, METAVARS.get(name, flag[2:].upper()))
    text = (field.description or "").replace("\n", " ")
    if plain is bool:
        names = [f"{flag}/--no-{flag[2:]}"] if field.default else [flag]
        info = typer.Option(*names, help=text, show_default=False)
    else:
        default = field.get_default(call_default_factory=True)
        typed = ",".join(map(str, default)) if isinstance(default, (tuple, list)) else default
        shown = "" if default in (None, (), [], {}) or field.is_required() else f" [default: {typed}]"
        completed = COMPLETIONS.get(name)
        info = typer.Option(flag, metavar=metavar, help=text + shown, show_default=False, autocompletion=completed)
    kind = plain if plain in (bool, int, float) else str
    annotation = Annotated[kind | None, info]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _plain(annotation: Any) -> Any:
    """`int` of `int | None`; the annotation itself where it is no such union."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (first, *others) = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return Any if others else _plain(first)
    return annotation
