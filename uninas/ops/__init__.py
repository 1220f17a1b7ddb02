"""The alphabet: every elementary operation, with its shape rule, parameters, MACs and torch module in one class."""

from .activation import GELU, Hardswish, ReLU, ReLU6, Sigmoid, SiLU, Softmax
from .attention import Mask, Matmul1, Matmul2, RelPosBias
from .base import REGISTRY, Op, make, operation_of
from .conv import Conv, DepthwiseConv
from .merge import Add, Chunk, Concat, Multiply, Subtract
from .norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from .pool import AvgPool, GlobalAvgPool, MaxPool, Upsample
from .regularize import Dropout, LayerScale
from .value import Grid, Size, Value

__all__ = [
    "GELU",
    "REGISTRY",
    "Add",
    "AvgPool",
    "BatchNorm",
    "Chunk",
    "Concat",
    "Conv",
    "DepthwiseConv",
    "Dropout",
    "GlobalAvgPool",
    "Grid",
    "GroupNorm",
    "Hardswish",
    "LayerNorm",
    "LayerScale",
    "Mask",
    "Matmul1",
    "Matmul2",
    "MaxPool",
    "Multiply",
    "Op",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "RelPosBias",
    "SiLU",
    "Sigmoid",
    "Size",
    "Softmax",
    "Subtract",
    "Upsample",
    "Value",
    "make",
    "operation_of",
]
