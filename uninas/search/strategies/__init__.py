"""How a search moves through the space. Adding one is a class with `propose` and `decide`, and a line here."""

from __future__ import annotations

from ..explore import Strategy
from .random import RandomWalks
from .walk import Walk

STRATEGIES: dict[str, type[Strategy]] = {"walk": Walk, "random": RandomWalks}
"""Strategies by the name that `--strategy` takes."""

__all__ = ["STRATEGIES", "RandomWalks", "Walk"]
