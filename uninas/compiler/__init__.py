"""Genotype -> torch.nn.Module: lowering to torch.fx, rewriting passes, network assembly."""

from .build import build
from .lower import lower
from .network import Network
from .passes import PASSES
from .weights import load_weights, save_weights

__all__ = ["PASSES", "Network", "build", "load_weights", "lower", "save_weights"]
