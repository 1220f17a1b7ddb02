"""The traversal: spaces, moves, constraints, strategies, and the study that records them."""

from __future__ import annotations

from .constraints import Limits
from .space import Space

__all__ = ["Limits", "Space"]
