"""What surrounds the blocks: stem, downsampling at the start of a stage, and head, each a list of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import GenotypeError, nearest
from ..ops.layers import (
    ACTIVATIONS,
    NORMS,
    ConvLayer,
    GlobalPoolLayer,
    HalvingPool,
    Layer,
    LinearLayer,
    OpLayer,
    activation_layer,
    norm_layer,
)
from ..ops.regularize import Dropout

IMAGE_CHANNELS = 3


def check_whole(value: Any, path: str, minimum: int = 1) -> None:
    """Raises GenotypeError unless `value` is an int >= minimum."""
    if type(value) is not int or value < minimum:
        raise GenotypeError(f"wants a whole number of at least {minimum}, got {value!r}", path)


def check_choice(value: Any, choices: Sequence[str], path: str, optional: bool = True) -> None:
    """Raises GenotypeError unless `value` is one of `choices` (or None, where optional)."""
    if value is None and optional:
        return
    if value not in choices:
        raise GenotypeError(f"there is no {value!r}; {nearest(str(value), choices)}", path)


def check_bool(value: Any, path: str) -> None:
    """Raises GenotypeError unless `value` is true or false."""
    if type(value) is not bool:
        raise GenotypeError(f"wants true or false, got {value!r}", path)


@contextmanager
def placed(path: str) -> Iterator[None]:
    """What is wrong inside, such as layers that do not fit their channels, is wrong with `path`."""
    try:
        yield
    except GenotypeError as error:
        raise GenotypeError(error.message, path) from None


@dataclass(frozen=True)
class StemConv:
    """One convolution of the stem, with what follows it."""

    width: int
    kernel: int = 3
    stride: int = 1
    bias: bool = True
    norm: str | None = None
    activation: str | None = None

    def __post_init__(self) -> None:
        for name in ("width", "kernel", "stride"):
            check_whole(getattr(self, name), name)
        check_bool(self.bias, "bias")
        check_choice(self.norm, tuple(NORMS), "norm")
        check_choice(self.activation, ACTIVATIONS, "activation")
        if self.kernel % 2 == 0 and self.stride != self.kernel:
            raise GenotypeError(f"an even kernel is a patch: its stride is {self.kernel}, not {self.stride}", "stride")
        with placed("norm"):
            self.layers(IMAGE_CHANNELS)

    def layers(self, channels: int) -> list[Layer]:
        """The convolution, norm and activation for an input of `channels`."""
        found: list[Layer] = [ConvLayer(channels, self.width, self.kernel, self.stride, self.bias)]
        if self.norm:
            found.append(norm_layer(self.norm, self.width))
        if self.activation:
            found.append(activation_layer(self.activation, self.width))
        return found


@dataclass(frozen=True)
class Stem:
    """Image -> features: convolutions in sequence. The default is the paper's: 3 -> 32 (stride 2), BN, GELU, -> 64."""

    convs: tuple[StemConv, ...] = (
        StemConv(32, 3, 2, bias=False, norm="batch", activation="gelu"),
        StemConv(64, 3, 1),
    )

    def __post_init__(self) -> None:
        if not self.convs:
            raise GenotypeError("a stem needs at least one convolution", "convs")

    @property
    def width(self) -> int:
        return self.convs[-1].width

    @property
    def stride(self) -> int:
        stride = 1
        for conv in self.convs:
            stride *= conv.stride
        return stride

    def layers(self, channels: int = IMAGE_CHANNELS) -> list[Layer]:
        """The layers for an image of `channels`."""
        found: list[Layer] = []
        for conv in self.convs:
            found += conv.layers(channels)
            channels = conv.width
        return found


DOWNSAMPLING = {
    "pool": "shortcut and main path of the first sub-block each average 2 x 2 and convolve 1 x 1 (the paper's)",
    "patch": "layer norm and a 2 x 2 convolution with stride 2 before the first block (ConvNeXt's)",
    "basic": "a residual pair of 3 x 3 convolutions, the first with stride 2 (NAS-Bench-201's)",
    "conv": "a 3 x 3 convolution with stride 2 and batch norm before the first block",
    "project": "a 1 x 1 convolution and batch norm; the resolution stays",
    "none": "nothing; resolution and width stay",
}


@dataclass(frozen=True)
class Downsample:
    """How a stage starts: `kind` is a key of DOWNSAMPLING."""

    kind: str = "pool"

    def __post_init__(self) -> None:
        check_choice(self.kind, tuple(DOWNSAMPLING), "kind", optional=False)

    @property
    def stride(self) -> int:
        return 1 if self.kind in ("none", "project") else 2

    def shortcut(self, before: int, after: int) -> list[Layer]:
        """Layers on the shortcut of the first sub-block (`pool`), or beside `main` (`basic`)."""
        if self.kind == "pool":
            return [HalvingPool(), ConvLayer(before, after)]
        if self.kind == "basic":
            return [HalvingPool(), ConvLayer(before, after, bias=False)]
        return []

    def main(self, before: int, after: int) -> list[Layer]:
        """Layers on the main path: inside the first sub-block behind its norm (`pool`), else before the block."""
        if self.kind == "pool":
            return [HalvingPool(), ConvLayer(before, after)]
        if self.kind == "patch":
            return [norm_layer("layer", before), ConvLayer(before, after, 2, 2)]
        if self.kind == "basic":
            return [
                activation_layer("relu", before),
                ConvLayer(before, after, 3, 2, bias=False),
                norm_layer("batch", after),
                activation_layer("relu", after),
                ConvLayer(after, after, 3, bias=False),
                norm_layer("batch", after),
            ]
        if self.kind == "conv":
            return [ConvLayer(before, after, 3, 2, bias=False), norm_layer("batch", after)]
        if self.kind == "project":
            return [ConvLayer(before, after, bias=False), norm_layer("batch", after)]
        return []


@dataclass(frozen=True)
class Head:
    """Features -> logits: norm, activation, global average, dropout, linear; `pool_first` averages before the norm."""

    norm: str | None = "layer"
    activation: str | None = None
    dropout: float = 0.0
    pool_first: bool = False

    def __post_init__(self) -> None:
        check_choice(self.norm, tuple(NORMS), "norm")
        check_choice(self.activation, ACTIVATIONS, "activation")
        check_bool(self.pool_first, "pool_first")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise GenotypeError(f"wants a probability in [0, 1), got {self.dropout!r}", "dropout")
        object.__setattr__(self, "dropout", float(self.dropout) + 0.0)  # 0, 0.0 and -0.0 are written alike
        if self.pool_first and self.norm == "batch":
            raise GenotypeError("batch norm cannot follow the pool: one image would leave a single value", "norm")

    def layers(self, channels: int, num_classes: int) -> list[Layer]:
        """The layers for `channels` features; `num_classes=0` leaves out dropout and the classifier."""
        found: list[Layer] = [norm_layer(self.norm, channels)] if self.norm else []
        if self.activation:
            found.append(activation_layer(self.activation, channels))
        found.insert(0 if self.pool_first else len(found), GlobalPoolLayer())
        if num_classes:
            if self.dropout:
                found.append(OpLayer(Dropout(self.dropout), channels))
            found.append(LinearLayer(channels, num_classes))
        return found
