"""How well training-free scores rank networks that have been trained.

`uninas rank` is the command; tables are in `uninas.ranking.tables`, one file a kind.
"""

from .bootstrap import Draws, Intervals, Judged
from .errors import RankingError
from .labels import Labels
from .metrics import Metrics, metrics
from .tables import Benchmark, Column, Inputs, Table

__all__ = [
    "Benchmark",
    "Column",
    "Draws",
    "Inputs",
    "Intervals",
    "Judged",
    "Labels",
    "Metrics",
    "RankingError",
    "Table",
    "metrics",
]
