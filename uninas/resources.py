"""Files that travel with uninas and are found by name: search spaces and training protocols (YAML)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import ResourceError, UninasError, kind_of, nearest

Model = TypeVar("Model", bound=BaseModel)

CHECKOUT = Path(__file__).resolve().parent.parent
"""The repository, when uninas runs from one: its top-level `spaces/` and `protocols/` come first."""
INSTALLED = Path(__file__).resolve().parent / "_data"
"""Where the wheel puts the same folders."""
SUFFIXES = (".yaml", ".yml", ".json")


def validated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function as a pydantic validator: what it refuses with a UninasError is a fault of the value."""

    def validator(value: Any) -> Any:
        try:
            return function(value)
        except UninasError as error:
            raise ValueError(str(error)) from None

    return validator


def find(kind: str, name: str | Path) -> Path:
    """The file of a resource.

    Args:
        kind: the folder, "spaces" or "protocols".
        name: a path to an existing file, or the bare name of a file in that folder, such as "uninas".

    Raises:
        ResourceError: there is no such file; the message gives the nearest name.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = available(kind)
    if str(name) in known:
        return known[str(name)]
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise ResourceError(f"{name}: there is no such file; a bare name finds one of: {', '.join(sorted(known))}")
    raise ResourceError(f"there is nothing called {str(name)!r} in {kind}; {nearest(str(name), known)}, or give a path")


def available(kind: str) -> dict[str, Path]:
    """The resources of a kind by name."""
    for folder in (CHECKOUT / kind, INSTALLED / kind):
        found = {file.stem: file for file in sorted(folder.glob("*")) if file.suffix in SUFFIXES}
        if found:
            return found
    return {}


def parse(data: Any, model: type[Model], error: type[UninasError]) -> Model:
    """Plain data as a pydantic model.

    Raises:
        UninasError: of the class `error`, with a line for each fault: `limits.nodes: Input should be greater than 0,
            got -3`.
    """
    if not isinstance(data, Mapping):
        raise error(f"wants a mapping with {', '.join(model.model_fields)}; got {kind_of(data)}")
    try:
        return model.model_validate(data)
    except ValidationError as problem:
        raise error("\n".join(_line(model, fault) for fault in problem.errors())) from None


def _line(model: type[BaseModel], fault: Any) -> str:
    """One fault as `path: what is wrong, got value`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown key; {nearest(str(fault['loc'][-1]), _keys(model, fault['loc'][:-1]))}"
    if fault["type"] == "missing":
        return f"{path}: is missing"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{path}: {message}" if path else message
    return f"{path}: {message}, got {fault['input']!r}"


def _keys(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys of the model that is nested in `model` at `place`."""
    for part in place:
        field = model.model_fields.get(str(part))
        if field is None:  # a key of a mapping or an index of a list: the model behind it is the value's
            continue
        nested = _model_in(field.annotation)
        if nested is None:
            return []
        model = nested
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model that an annotation such as `dict[str, Start]` or `Limits | None` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found:
            return found
    return None
