"""What surrounds the blocks: stem and head, each a list of layers. (`downsample` has what starts a stage.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import GenotypeError, nearest
from ..ops.layers import (
    ACTIVATIONS,
    NORMS,
    ConvLayer,
    GlobalPoolLayer,
    Layer,
    LinearLayer,
    OpLayer,
    StridedMaxPool,
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


def later() -> Any:
    """A field that came after the first files: None where nothing is said, and then left out of files and keys, so that
    those of older networks stay as they are."""
    return field(default=None, metadata={"later": True})


def plain(part: Any) -> dict[str, Any]:
    """A stem, downsampling or head as plain data."""
    found = {}
    for spec in fields(part):
        value = getattr(part, spec.name)
        if value is not None or not spec.metadata.get("later"):
            found[spec.name] = [plain(item) for item in value] if isinstance(value, tuple) else value
    return found


@contextmanager
def placed(path: str) -> Iterator[None]:
    """What is wrong inside, such as layers that do not fit their channels, is wrong with `path`."""
    try:
        yield
    except GenotypeError as error:
        raise GenotypeError(error.message, path) from None


@dataclass(frozen=True)
class StemConv:
    """One convolution of the stem, with what follows it: norm, activation, and a 3 x 3 pool with stride 2 (`max`)."""

    width: int
    kernel: int = 3
    stride: int = 1
    bias: bool = True
    norm: str | None = None
    activation: str | None = None
    padding: int | None = later()
    """On each side; None pads an odd kernel so that the result has ceil(size / stride) positions."""
    pool: str | None = later()

    def __post_init__(self) -> None:
        for name in ("width", "kernel", "stride"):
            check_whole(getattr(self, name), name)
        if self.padding is not None:
            check_whole(self.padding, "padding", minimum=0)
        check_choice(self.pool, ("max",), "pool")
        check_bool(self.bias, "bias")
        check_choice(self.norm, tuple(NORMS), "norm")
        check_choice(self.activation, ACTIVATIONS, "activation")
        if self.kernel % 2 == 0 and self.stride != self.kernel:
            raise GenotypeError(f"an even kernel is a patch: its stride is {self.kernel}, not {self.stride}", "stride")
        with placed("norm"):
            self.layers(IMAGE_CHANNELS)

    @property
    def total_stride(self) -> int:
        """Of the convolution and the pool."""
        return self.stride * (2 if self.pool else 1)

    def layers(self, channels: int) -> list[Layer]:
        """The convolution, norm, activation and pool for an input of `channels`."""
        conv = ConvLayer(channels, self.width, self.kernel, self.stride, self.bias, pad=self.padding)
        found: list[Layer] = [conv]
        if self.norm:
            found.append(norm_layer(self.norm, self.width))
        if self.activation:
            found.append(activation_layer(self.activation, self.width))
        if self.pool:
            found.append(StridedMaxPool())
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
            stride *= conv.total_stride
        return stride

    def layers(self, channels: int = IMAGE_CHANNELS) -> list[Layer]:
        """The layers for an image of `channels`."""
        found: list[Layer] = []
        for conv in self.convs:
            found += conv.layers(channels)
            channels = conv.width
        return found


@dataclass(frozen=True)
class Head:
    """Features -> logits: 1 x 1 convolution (to `width`), norm, activation, global average, dropout, linear;
    `pool_first` averages before all of them."""

    norm: str | None = "layer"
    activation: str | None = None
    dropout: float = 0.0
    pool_first: bool = False
    width: int | None = later()
    """Channels of a 1 x 1 convolution before the norm; None for none."""

    def __post_init__(self) -> None:
        check_choice(self.norm, tuple(NORMS), "norm")
        check_choice(self.activation, ACTIVATIONS, "activation")
        check_bool(self.pool_first, "pool_first")
        if self.width is not None:
            check_whole(self.width, "width")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise GenotypeError(f"wants a probability in [0, 1), got {self.dropout!r}", "dropout")
        object.__setattr__(self, "dropout", float(self.dropout) + 0.0)  # 0, 0.0 and -0.0 are written alike
        if self.pool_first and self.norm == "batch":
            raise GenotypeError("batch norm cannot follow the pool: one image would leave a single value", "norm")

    def layers(self, channels: int, num_classes: int) -> list[Layer]:
        """The layers for `channels` features; `num_classes=0` leaves out dropout and the classifier."""
        found: list[Layer] = []
        if self.width:
            found.append(ConvLayer(channels, self.width, bias=False))
            channels = self.width
        if self.norm:
            found.append(norm_layer(self.norm, channels))
        if self.activation:
            found.append(activation_layer(self.activation, channels))
        found.insert(0 if self.pool_first else len(found), GlobalPoolLayer())
        if num_classes:
            if self.dropout:
                found.append(OpLayer(Dropout(self.dropout), channels))
            found.append(LinearLayer(channels, num_classes))
        return found
