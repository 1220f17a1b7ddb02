"""How a search moves through the space: a new file in this folder is all that a new strategy takes."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .base import Draft, Result, Strategy, StrategySettings, View, Wanted


def _definitions() -> dict[str, type[Strategy]]:
    """Every strategy of the files here, by name."""
    files = [import_module(f"{__name__}.{info.name}") for info in sorted(iter_modules(__path__))]
    kinds = [value for file in files for value in vars(file).values() if isinstance(value, type)]
    return {kind.name: kind for kind in kinds if issubclass(kind, Strategy) and kind is not Strategy}


STRATEGIES = _definitions()
"""Strategies by the name that `--strategy` takes."""

__all__ = ["STRATEGIES", "Draft", "Result", "Strategy", "StrategySettings", "View", "Wanted"]
