"""A network as one readable Python file that needs PyTorch alone: written from the genotype's graphs, in the layout and
by the rules of `ruff format`, with the parameter names of `uninas.build`, so that weights go both ways unchanged."""

from .operations import writes
from .text import FRAMEWORKS, source_text

__all__ = ["FRAMEWORKS", "source_text", "writes"]
