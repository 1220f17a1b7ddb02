"""uninas finds vision backbones: a graph-based universal search space, walked by a training-free proxy."""

from __future__ import annotations

from . import blocks
from .compiler import build
from .errors import GenotypeError, UninasError
from .genotype import Genotype, cost

__version__ = "0.1.0"

__all__ = ["Genotype", "GenotypeError", "UninasError", "__version__", "blocks", "build", "cost"]
