"""Tables of trained networks: drawn within narrow bands of size, trained alike, one row a training."""

from .config import TabulateConfig
from .draw import Drawn, bands, draw
from .run import tabulate
from .table import NETWORKS, RECIPE, RESULTS, Row, TableFolder

__all__ = [
    "NETWORKS",
    "RECIPE",
    "RESULTS",
    "Drawn",
    "Row",
    "TableFolder",
    "TabulateConfig",
    "bands",
    "draw",
    "tabulate",
]
