"""The layers that frame the blocks: they may change resolution and have absolute widths, unlike block operations.

Stem, downsampling and head are lists of these; a network's cost and its modules come from the same list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from ..errors import GenotypeError
from .base import REGISTRY, Op, make
from .value import Size, Value

if TYPE_CHECKING:
    from torch import nn

NORMS = {name.removesuffix("_norm"): name for name, op in REGISTRY.items() if op.role == "norm" and not op.converted}
"""Norms of frames, by the name that frames call them."""
ACTIVATIONS = tuple(name for name, op in REGISTRY.items() if op.is_gate)
"""Activations of frames."""


class Layer(Protocol):
    """One layer: what it puts out for an input of `size`, what it costs, and its module."""

    def out_size(self, size: Size) -> Size: ...
    def parameters(self) -> int: ...
    def macs(self, size: Size) -> int: ...
    def build(self) -> nn.Module: ...


@dataclass(frozen=True)
class ConvLayer:
    """Convolution with stride. Odd kernels pad to ceil(size / stride), unless `pad` says otherwise; even ones are
    patches, without padding."""

    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    bias: bool = True
    groups: int = 1
    pad: int | None = None

    @property
    def padding(self) -> int:
        if self.pad is not None:
            return self.pad
        return self.kernel // 2 if self.kernel % 2 else 0

    def out_size(self, size: Size) -> Size:
        height, width = ((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in size)
        if height < 1 or width < 1:
            message = f"an input of {size[0]} x {size[1]} is smaller than a {self.kernel} x {self.kernel} patch"
            raise GenotypeError(message)
        return height, width

    def parameters(self) -> int:
        return self.out_channels * (self.in_channels // self.groups * self.kernel**2 + (1 if self.bias else 0))

    def macs(self, size: Size) -> int:
        height, width = self.out_size(size)
        return self.out_channels * (self.in_channels // self.groups) * self.kernel**2 * height * width

    def build(self) -> nn.Module:
        from torch import nn

        channels = (self.in_channels, self.out_channels)
        return nn.Conv2d(*channels, self.kernel, self.stride, padding=self.padding, groups=self.groups, bias=self.bias)


class _Halving:
    """A pool with stride 2; an odd side rounds up, unless it says otherwise."""

    def out_size(self, size: Size) -> Size:
        return -(-size[0] // 2), -(-size[1] // 2)

    def parameters(self) -> int:
        return 0

    def macs(self, size: Size) -> int:
        return 0


@dataclass(frozen=True)
class HalvingPool(_Halving):
    """Average over 2 x 2 with stride 2; an odd side rounds up and averages what is there."""

    def build(self) -> nn.Module:
        from .modules.layers import HalvingAverage

        return HalvingAverage()


@dataclass(frozen=True)
class FloorHalvingPool(_Halving):
    """Average over 2 x 2 with stride 2; an odd side rounds down, its last row or column is left out."""

    def out_size(self, size: Size) -> Size:
        if min(size) < 2:
            raise GenotypeError(f"an input of {size[0]} x {size[1]} is smaller than a 2 x 2 window")
        return size[0] // 2, size[1] // 2

    def build(self) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(2)


@dataclass(frozen=True)
class StridedMaxPool(_Halving):
    """Maximum over 3 x 3 with stride 2; an odd side rounds up."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(3, stride=2, padding=1)


@dataclass(frozen=True)
class OpLayer:
    """A one-input operation of the alphabet on `channels` channels of the full grid.

    Raises:
        GenotypeError: the operation is not defined for so many channels.
    """

    op: Op
    channels: int

    def __post_init__(self) -> None:
        self.op.infer((Value(self.channels),))

    def out_size(self, size: Size) -> Size:
        return size

    def parameters(self) -> int:
        return self.op.parameters((Value(self.channels),))

    def macs(self, size: Size) -> int:
        return self.op.macs((Value(self.channels),), size)

    def build(self) -> nn.Module:
        return self.op.module((Value(self.channels),))


@dataclass(frozen=True)
class GlobalPoolLayer:
    """B x C x H x W -> B x C x 1 x 1."""

    def out_size(self, size: Size) -> Size:
        return 1, 1

    def parameters(self) -> int:
        return 0

    def macs(self, size: Size) -> int:
        return 0

    def build(self) -> nn.Module:
        from .modules.pool import GlobalAverage

        return GlobalAverage()


@dataclass(frozen=True)
class LinearLayer:
    """The classifier: B x C x 1 x 1 -> B x K logits."""

    in_features: int
    out_features: int

    def out_size(self, size: Size) -> Size:
        return 1, 1

    def parameters(self) -> int:
        return self.out_features * (self.in_features + 1)

    def macs(self, size: Size) -> int:
        return self.out_features * self.in_features

    def build(self) -> nn.Module:
        from .modules.layers import PointLinear

        return PointLinear(self.in_features, self.out_features)


@lru_cache(maxsize=1024)  # costs ask for the same few thousands of times
def norm_layer(name: str, channels: int) -> OpLayer:
    """A norm of NORMS."""
    return OpLayer(make(NORMS[name]), channels)


@lru_cache(maxsize=1024)
def activation_layer(name: str, channels: int) -> OpLayer:
    """An activation of ACTIVATIONS."""
    return OpLayer(make(name), channels)


def total(layers: Iterable[Layer], size: Size) -> tuple[int, int, Size]:
    """Parameters, MACs and output size of `layers` in sequence, for one image of `size`."""
    parameters = macs = 0
    for layer in layers:
        parameters += layer.parameters()
        macs += layer.macs(size)
        size = layer.out_size(size)
    return parameters, macs, size


def size_behind(layers: Iterable[Layer], size: Size) -> Size:
    """Output size of `layers` in sequence, for an input of `size`."""
    for layer in layers:
        size = layer.out_size(size)
    return size


def sequential(layers: Sequence[Layer]) -> nn.Sequential:
    """The modules of `layers` in sequence."""
    from torch import nn

    return nn.Sequential(*(layer.build() for layer in layers))
