"""Space files: found by name or path, put over the file that they extend, and read by the kind of space they describe.

extends: uninas              # a space by name, or a path, seen from this file
name: mine
attention_stages: [2, 3, 4]  # replaces the other's
alphabet: {mask: null}       # mappings are merged key by key; null takes a key out
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import resources, yaml_files
from ...errors import ResourceError, SpaceError, kind_of, nearest
from .base import Space
from .cells import CellSpace
from .graph_space import GraphSpace
from .layers import LayerSpace

KINDS: dict[str, type[CellSpace] | type[GraphSpace] | type[LayerSpace]] = {
    "graphs": GraphSpace,
    "cells": CellSpace,
    "layers": LayerSpace,
}
"""What the key `kind` may say; a file without it describes graphs."""


def load(name: str | Path) -> Space:
    """See `Space.load`."""
    try:
        path = resources.find("spaces", name)
    except ResourceError as error:
        raise SpaceError(str(error)) from None
    data = _read(path, ())
    try:
        return _space(data)
    except SpaceError as error:
        raise SpaceError(f"{path}: {error}") from None


def from_dict(data: object) -> Space:
    """See `Space.from_dict`. What the data `extends` is a name, or a path from the working directory."""
    try:
        return _space(_extended(data, Path(), ()))
    except ResourceError as error:
        raise SpaceError(str(error)) from None


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: mappings are merged key by key, null takes a key out, anything else replaces."""
    found = dict(base)
    for key, value in changes.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(found.get(key), Mapping):
            found[key] = merged(found[key], value)
        else:
            found[key] = value
    return found


def _space(data: Any) -> Space:
    if isinstance(data, Mapping) and "schema_version" in data and "stages" in data:
        raise SpaceError("holds a network, not a space of networks; a search begins at it with --start")
    kind = data.get("kind", "graphs") if isinstance(data, Mapping) else "graphs"
    if not isinstance(kind, str) or kind not in KINDS:
        raise SpaceError(f"kind: there is no kind {kind!r} of space; {nearest(str(kind), KINDS)}")
    return KINDS[kind].from_dict(data)


def _read(path: Path, chain: tuple[Path, ...]) -> Any:
    """The data of a file, over that of the file that it extends.

    Args:
        chain: the files that led here.

    Raises:
        SpaceError: a file cannot be read, or the chain comes back to one of its files.
    """
    if path.resolve() in (file.resolve() for file in chain):
        names = " -> ".join(file.name for file in (*chain, path))
        raise SpaceError(f"{chain[0]}: extends: {names} goes in a circle")
    try:
        data = yaml_files.read(path)
        return _extended(data, path.parent, (*chain, path))
    except ResourceError as error:
        raise SpaceError(f"{path}: {error}") from None


def _extended(data: Any, folder: Path, chain: tuple[Path, ...]) -> Any:
    """The data over what it extends; `folder` is where relative paths start.

    Raises:
        ResourceError: the key `extends` is wrong; SpaceError: the file that it names is.
    """
    if not isinstance(data, Mapping) or "extends" not in data:
        return data
    base = data["extends"]
    changes = {key: value for key, value in data.items() if key != "extends"}
    if not isinstance(base, str):
        raise ResourceError(f"extends: expected the name or the path of a space, got {base!r}")
    beside = folder / base
    try:
        found = beside if beside.is_file() else resources.find("spaces", base)
    except ResourceError as error:
        raise ResourceError(f"extends: {error}") from None
    under = _read(found, chain)
    if not isinstance(under, Mapping):
        raise ResourceError(f"extends: {found} holds no mapping but {kind_of(under)}")
    return merged(under, changes)
