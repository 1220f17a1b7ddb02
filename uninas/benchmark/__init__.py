"""Tabular benchmarks, and how well proxies rank their networks."""

from .bootstrap import Intervals, bootstrap, difference
from .errors import BenchmarkError
from .metrics import Metrics, metrics
from .nasbench201 import is_complete, nasbench201
from .table import Table, read_table

__all__ = [
    "BenchmarkError",
    "Intervals",
    "Metrics",
    "Table",
    "bootstrap",
    "difference",
    "is_complete",
    "metrics",
    "nasbench201",
    "read_table",
]
