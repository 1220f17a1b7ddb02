"""Packages whose names are imported when they are first asked for, so that who needs one does not wait for all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(package: str, names: Mapping[str, Sequence[str]], modules: Sequence[str] = ()) -> Callable[[str], Any]:
    """The `__getattr__` of a package: `__getattr__ = lazily(__name__, {"run": ("search", "Interrupted")})`.

    The package says the same once more under `if TYPE_CHECKING:`, for type checkers.

    Args:
        names: by the module of the package that defines them. None may be called like a module of the package: the
            import system would put the module in its place.
        modules: modules that are themselves to be found, without an import of their own.
    """
    homes = {name: module for module, found in names.items() for name in found}

    def getattr_(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, found)  # the next time, it is there
        return found

    return getattr_
