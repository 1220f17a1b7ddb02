"""Tables of trained networks: drawn within narrow bands of size, trained alike, one row a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazily
from .config import TabulateConfig

if TYPE_CHECKING:
    from .run import tabulate
    from .table import NETWORKS, RECIPE, RESULTS, Row, TableFolder

__all__ = [
    "NETWORKS",
    "RECIPE",
    "RESULTS",
    "Row",
    "TableFolder",
    "TabulateConfig",
    "tabulate",
]

__getattr__ = lazily(
    __name__,
    {
        "run": ("tabulate",),
        "table": ("NETWORKS", "RECIPE", "RESULTS", "Row", "TableFolder"),
    },
)
