"""Genotype -> torch.nn.Module: lowering to torch.fx, rewriting passes, network assembly."""

from .build import build
from .lower import lower
from .network import Network
from .passes import PASSES

__all__ = ["PASSES", "Network", "build", "lower"]
