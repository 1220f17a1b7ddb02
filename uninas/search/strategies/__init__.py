"""How a search moves through the space. Adding a strategy is one file, and a line here."""

from __future__ import annotations

from .base import Draft, Result, Strategy, StrategySettings, View, Wanted
from .evolution import Evolution
from .pareto import Pareto
from .random import RandomSearch
from .walk import Walk

STRATEGIES: dict[str, type[Strategy]] = {kind.name: kind for kind in (Walk, Evolution, RandomSearch, Pareto)}
"""Strategies by the name that `--strategy` takes."""

__all__ = ["STRATEGIES", "Draft", "Result", "Strategy", "StrategySettings", "View", "Wanted"]
