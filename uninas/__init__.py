"""uninas finds vision backbones: a graph-based universal search space, walked by a training-free proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import GenotypeError, UninasError
from .lazy import lazily

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import blocks, compiler, engine, export, genotype, ops, proxies, ranking, report, search
    from .compiler import build
    from .genotype import Genotype, cost

__all__ = [
    "Genotype",
    "GenotypeError",
    "UninasError",
    "__version__",
    "blocks",
    "build",
    "compiler",
    "cost",
    "engine",
    "export",
    "genotype",
    "ops",
    "proxies",
    "ranking",
    "report",
    "search",
]

__getattr__ = lazily(
    __name__,
    {"compiler": ("build",), "genotype": ("Genotype", "cost")},
    modules=("blocks", "compiler", "engine", "export", "genotype", "ops", "proxies", "ranking", "report", "search"),
)
