"""The traversal: spaces, moves, limits, strategies, and the study that records them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .config import SearchConfig
    from .limits import Limits
    from .progress import Progress
    from .run import Interrupted, search
    from .space import Space
    from .study import Study
    from .summary import Summary

__all__ = ["Interrupted", "Limits", "Progress", "SearchConfig", "Space", "Study", "Summary", "search"]

__getattr__ = lazily(
    __name__,
    {
        "config": ("SearchConfig",),
        "limits": ("Limits",),
        "progress": ("Progress",),
        "run": ("Interrupted", "search"),
        "space": ("Space",),
        "study": ("Study",),
        "summary": ("Summary",),
    },
)
