"""uninas finds vision backbones: a graph-based universal search space, walked by a training-free proxy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import blocks
from .compiler import build
from .errors import GenotypeError, UninasError
from .genotype import Genotype, cost

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import benchmark as benchmark
    from . import proxies as proxies
    from . import search as search

_PARTS = ("benchmark", "proxies", "search")
"""Imported at first use, so that who only builds a network does not wait for them."""

__all__ = ["Genotype", "GenotypeError", "UninasError", "__version__", "blocks", "build", "cost"]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
