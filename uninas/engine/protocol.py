"""Training protocols: YAML files, typed and validated.

A protocol says everything about a training run that does not depend on the machine or on the network. Learning
rates are written for one process; `learning_rates(n)` multiplies them, as published, by their number.

    base: imagenet               # optional: another protocol, of which the keys below change some
    schedule: {epochs: 300}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import resources, yaml_files
from ..errors import ResourceError, nearest
from .errors import ProtocolError
from .settings import Classification, Detection, Protocol, Segmentation

TASKS: dict[str, type[Protocol]] = {
    "classification": Classification,
    "detection": Detection,
    "segmentation": Segmentation,
}


def load(name: str | Path, changes: Mapping[str, Any] | None = None) -> Classification | Detection | Segmentation:
    """A protocol by name or path, with `changes` (nested like the file) applied before validation.

    Raises:
        ProtocolError: no such protocol, or it is not valid; the message names the file and the place in it.
    """
    path = resources.find("protocols", name)
    data = _merge(_read(path, ()), changes or {})
    data.setdefault("name", path.stem)
    task = data.get("task")
    if task not in TASKS:
        raise ProtocolError(f"{path}: task: there is no task {task!r}; {nearest(str(task), TASKS)}")
    try:
        return resources.parse(data, TASKS[task], ProtocolError)  # type: ignore[return-value]
    except ProtocolError as problem:
        raise ProtocolError(f"{path}: {problem}") from None


def parse_changes(pairs: list[str]) -> dict[str, Any]:
    """`["schedule.epochs=3"]` -> `{"schedule": {"epochs": 3}}`, values read as YAML.

    Raises:
        ProtocolError: a pair without `=`, or a value that is not YAML.
    """
    changes: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ProtocolError(f"{pair!r} is not a change; write key=value, such as schedule.epochs=3")
        try:
            nested: Any = yaml_files.parse(value)
        except ResourceError as problem:
            raise ProtocolError(f"{pair!r}: {problem}") from None
        for part in reversed(key.split(".")):
            nested = {part: nested}
        changes = _merge(changes, nested)
    return changes


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's content over that of its `base`."""
    if path in seen:
        raise ProtocolError(f"{path}: base: {' -> '.join(p.stem for p in (*seen, path))} goes in a circle")
    try:
        data = yaml_files.read(path)
    except ResourceError as problem:
        raise ProtocolError(f"{path}: {problem}") from None
    if not isinstance(data, dict):
        raise ProtocolError(f"{path}: a protocol is a mapping, got {type(data).__name__}")
    base = data.pop("base", None)
    if base is None:
        return data
    beside = path.parent / str(base)
    found = beside if beside.is_file() else resources.find("protocols", str(base))
    return _merge(_read(found, (*seen, path)), data)


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
