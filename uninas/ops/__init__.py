"""The alphabet: every elementary operation, with its shape rule, parameters, MACs and torch module in one class."""

from .activation import GELU, Hardswish, ReLU, ReLU6, Sigmoid, SiLU, Softmax
from .attention import Mask, Matmul1, Matmul2, RelPosBias
from .base import REGISTRY, Op, make, operation_of
from .conv import Conv, DepthwiseConv
from .merge import Add, Chunk, Concat, Multiply, Subtract
from .norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from .pool import AvgPool, GlobalAvgPool, MaxPool, Upsample
from .regularize import Dropout, LayerScale
from .unrestricted import (
    AnyBatchNorm,
    AnyConv,
    AnyDepthwiseConv,
    AnyLayerNorm,
    AnyMaxPool,
    PairAvgPool,
    PairUpsample,
    PointMatmul1,
    PointMatmul2,
    PointSoftmax,
    SharedPosBias,
    Zero,
)
from .value import Grid, Size, Value

__all__ = [
    "GELU",
    "REGISTRY",
    "Add",
    "AnyBatchNorm",
    "AnyConv",
    "AnyDepthwiseConv",
    "AnyLayerNorm",
    "AnyMaxPool",
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
    "PairAvgPool",
    "PairUpsample",
    "PointMatmul1",
    "PointMatmul2",
    "PointSoftmax",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "RelPosBias",
    "SharedPosBias",
    "SiLU",
    "Sigmoid",
    "Size",
    "Softmax",
    "Subtract",
    "Upsample",
    "Value",
    "Zero",
    "make",
    "operation_of",
]
