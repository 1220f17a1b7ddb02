"""The traversal: spaces, moves, limits, strategies, and the study that records them."""

from __future__ import annotations

from .config import SearchConfig
from .limits import Limits
from .progress import Progress
from .run import Interrupted, search
from .space import Space
from .study import Study
from .summary import Summary

__all__ = ["Interrupted", "Limits", "Progress", "SearchConfig", "Space", "Study", "Summary", "search"]
