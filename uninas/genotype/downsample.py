"""How a stage starts: lists of layers that change resolution and width."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..errors import GenotypeError
from ..ops.composite import AttentionLayer, SqueezeExciteLayer
from ..ops.layers import (
    ACTIVATIONS,
    ConvLayer,
    FloorHalvingPool,
    HalvingPool,
    Layer,
    activation_layer,
    norm_layer,
)
from .frame import check_choice, check_whole

DOWNSAMPLING = {
    "pool": "shortcut and main path of the first sub-block each average 2 x 2 and convolve 1 x 1 (the paper's)",
    "plain_pool": "as pool, with no convolution where the width stays; an odd side loses its last row (timm's)",
    "patch": "layer norm and a 2 x 2 convolution with stride 2 before the first block (ConvNeXt's)",
    "basic": "a residual pair of 3 x 3 convolutions, the first with stride 2 (NAS-Bench-201's)",
    "conv": "a 3 x 3 convolution with stride 2 and batch norm before the first block",
    "plain_conv": "a 3 x 3 convolution with stride 2 and bias before the first block (PoolFormer's)",
    "bottleneck": "a residual bottleneck with its stride in the 3 x 3 convolution (ResNet's)",
    "inverted": "an inverted residual without a shortcut, its stride in the depthwise convolution (MobileNetV2's)",
    "mbconv": "batch norm, average 2 x 2, inverted residual with squeeze-excite, beside a shortcut (CoAtNet's in timm)",
    "attention": "layer norm, average 2 x 2, self-attention, beside a shortcut (CoAtNet's in timm)",
    "project": "a 1 x 1 convolution and batch norm; the resolution stays",
    "none": "nothing; resolution and width stay",
}

SETTINGS: dict[str, dict[str, Any]] = {
    "bottleneck": {"stride": 2, "ratio": 4},
    "inverted": {"stride": 2, "ratio": 6, "kernel": 3, "activation": "relu", "squeeze": None},
    "mbconv": {"ratio": 4, "kernel": 3, "activation": "silu"},
    "attention": {"head_width": 32, "size": 14},
}
"""What can be said of a kind, with the value where nothing is said."""


@dataclass(frozen=True)
class Downsample:
    """How a stage starts: `kind` is a key of DOWNSAMPLING, the rest what SETTINGS has for it. None stands for its value
    there; `stride` is always a number, the factor by which height and width fall."""

    kind: str = "pool"
    stride: int = None  # type: ignore[assignment]
    ratio: int | None = None
    """`bottleneck`: of the stage's width to that inside; `inverted`, `mbconv`: of the width inside to what comes in."""
    kernel: int | None = None
    """Of the depthwise convolution: 3, 5 or 7."""
    activation: str | None = None
    squeeze: int | None = None
    """Squeeze-excite behind the depthwise convolution: its channels to those that it squeezes them into."""
    head_width: int | None = None
    """Channels of an attention head; as many heads as come nearest to it."""
    size: int | None = None
    """Side of the grid whose offsets the table of the relative position bias holds."""

    def __post_init__(self) -> None:
        check_choice(self.kind, tuple(DOWNSAMPLING), "kind", optional=False)
        taken = SETTINGS.get(self.kind, {})
        defaults = {"stride": 1 if self.kind in ("none", "project") else 2, **taken}
        for name in (spec.name for spec in fields(self) if spec.name != "kind"):
            value = getattr(self, name)
            if value is None:
                object.__setattr__(self, name, defaults.get(name))
                continue
            if name not in taken and value != defaults.get(name):
                says = f"takes {', '.join(taken)}" if taken else "takes no settings"
                raise GenotypeError(f"downsampling {self.kind!r} {says}", name)
            if name == "activation":
                check_choice(value, ACTIVATIONS, name)
                continue
            check_whole(value, name)
            choices = {"stride": (1, 2), "kernel": (3, 5, 7)}.get(name, (value,))
            if value not in choices:
                raise GenotypeError(f"wants one of {', '.join(map(str, choices))}; got {value}", name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data in the layout of the file: the kind, and what is not its default."""
        settings = SETTINGS.get(self.kind, {})
        return {"kind": self.kind, **{k: getattr(self, k) for k, v in settings.items() if getattr(self, k) != v}}

    def __str__(self) -> str:
        _, *settings = (f"{key} {value}" for key, value in self.to_dict().items())
        return f"{self.kind} ({', '.join(settings)})" if settings else self.kind

    @property
    def signature(self) -> str | dict[str, Any]:
        """What decides equality, as JSON data."""
        data = self.to_dict()
        return self.kind if len(data) == 1 else data

    @property
    def inside(self) -> bool:
        """Whether it is part of the stage's first sub-block, behind its norm, and not before the block."""
        return self.kind in ("pool", "plain_pool")

    def shortcut(self, before: int, after: int) -> list[Layer]:
        """Layers on the shortcut of the first sub-block (where `inside`), or beside `main`, if any."""
        if self.inside:
            return self.main(before, after)
        if self.kind in ("basic", "mbconv", "attention"):
            return [HalvingPool(), ConvLayer(before, after, bias=False)]
        if self.kind == "bottleneck":
            return [ConvLayer(before, after, 1, self.stride, bias=False), norm_layer("batch", after)]
        return []

    def behind(self, after: int) -> list[Layer]:
        """Layers behind the sum of `main` and `shortcut`, or behind `main`."""
        return [activation_layer("relu", after)] if self.kind == "bottleneck" else []

    def main(self, before: int, after: int) -> list[Layer]:
        """Layers on the main path: inside the first sub-block behind its norm (where `inside`), else before the block.

        Raises:
            GenotypeError: the widths do not fit.
        """
        write = getattr(self, f"_{self.kind}", None)
        return write(before, after) if write else []

    def _pool(self, before: int, after: int) -> list[Layer]:
        return [HalvingPool(), ConvLayer(before, after)]

    def _plain_pool(self, before: int, after: int) -> list[Layer]:
        return [FloorHalvingPool(), *([ConvLayer(before, after)] if before != after else [])]

    def _patch(self, before: int, after: int) -> list[Layer]:
        return [norm_layer("layer", before), ConvLayer(before, after, 2, 2)]

    def _basic(self, before: int, after: int) -> list[Layer]:
        return [
            activation_layer("relu", before),
            *_conv_norm(before, after, 3, 2),
            activation_layer("relu", after),
            *_conv_norm(after, after, 3),
        ]

    def _conv(self, before: int, after: int) -> list[Layer]:
        return _conv_norm(before, after, 3, 2)

    def _plain_conv(self, before: int, after: int) -> list[Layer]:
        return [ConvLayer(before, after, 3, 2)]

    def _project(self, before: int, after: int) -> list[Layer]:
        return _conv_norm(before, after)

    def _bottleneck(self, before: int, after: int) -> list[Layer]:
        inside = _part(after, self.ratio or 1, "ratio")
        relu = activation_layer("relu", inside)
        return [
            *_conv_norm(before, inside),
            relu,
            *_conv_norm(inside, inside, 3, self.stride),
            relu,
            *_conv_norm(inside, after),
        ]

    def _inverted(self, before: int, after: int) -> list[Layer]:
        inside, activation = before * (self.ratio or 1), self.activation or "relu"
        act = activation_layer(activation, inside)
        found = [*_conv_norm(before, inside), act] if inside != before else []
        found += [*_conv_norm(inside, inside, self.kernel or 3, self.stride, inside), act]
        if self.squeeze:
            found.append(SqueezeExciteLayer(inside, _part(inside, self.squeeze, "squeeze"), activation))
        return [*found, *_conv_norm(inside, after)]

    def _mbconv(self, before: int, after: int) -> list[Layer]:
        inside, activation = before * (self.ratio or 1), self.activation or "silu"
        act = activation_layer(activation, inside)
        return [
            norm_layer("batch", before),
            activation_layer(activation, before),
            HalvingPool(),
            *_conv_norm(before, inside),
            act,
            ConvLayer(inside, inside, self.kernel or 3, bias=False, groups=inside),
            SqueezeExciteLayer(inside, max(1, inside // 4)),
            norm_layer("batch", inside),
            act,
            ConvLayer(inside, after, bias=False),
        ]

    def _attention(self, before: int, after: int) -> list[Layer]:
        heads = nearest_heads(before, self.head_width or 32)
        attention = AttentionLayer(before, after, heads, self.size or 14)
        return [norm_layer("layer", before), HalvingPool(), attention]


def nearest_heads(width: int, head_width: float) -> int:
    """The number of heads nearest to `width / head_width` that divides the width."""
    return min((n for n in range(1, width + 1) if width % n == 0), key=lambda n: (abs(n - width / head_width), n))


def _part(width: int, ratio: int, name: str) -> int:
    """`width / ratio`, or an error that says that it is not whole."""
    if width % ratio:
        raise GenotypeError(f"{width} channels cannot be divided by {ratio}", name)
    return width // ratio


def _conv_norm(before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[Layer]:
    """A convolution without bias, and batch norm."""
    return [ConvLayer(before, after, kernel, stride, False, groups), norm_layer("batch", after)]
