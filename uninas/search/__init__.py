"""The traversal: spaces, moves, constraints, strategies, and the study that records them."""

from __future__ import annotations

from .config import SearchConfig
from .constraints import Limits
from .run import Interrupted, search
from .space import Space
from .summary import Progress, Summary

__all__ = ["Interrupted", "Limits", "Progress", "SearchConfig", "Space", "Summary", "search"]
