"""Networks as data: block graphs, the genotype, its canonical key and its file."""

from .cost import NetworkCost, cost, cost_parts
from .downsample import Downsample
from .frame import Head, Stem, StemConv
from .genotype import Block, Genotype, Stage, SubBlock
from .graph import INPUT, OUTPUT, BlockGraph, Cost, GraphBuilder, Ref

__all__ = [
    "INPUT",
    "OUTPUT",
    "Block",
    "BlockGraph",
    "Cost",
    "Downsample",
    "Genotype",
    "GraphBuilder",
    "Head",
    "NetworkCost",
    "Ref",
    "Stage",
    "Stem",
    "StemConv",
    "SubBlock",
    "cost",
    "cost_parts",
]
