"""How each operation of the alphabet is written: the module that it keeps, if any, and what `forward` says.

    @writes("relu6")
    def _relu6(op, where):
        return Written("F.relu6({0})", inline=True)

`{0}`, `{1}`, ... stand for the inputs, `{self}` for the module, `{size}` for height and width of the block's input,
`{all}` for all inputs with commas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ...ops import Grid, Op, Value
from ..errors import FormatError
from .layout import Expression, call


@dataclass(frozen=True)
class Where:
    """Where an operation stands: its input values, and how numbers of the class are called.

    Attributes:
        width: channels of the block's input, for which `width` is written.
        heads: of all attention in the graph, for which `heads` is written; None where they differ or there is none.
        bias_size: of all position biases, likewise.
    """

    inputs: tuple[Value, ...]
    width: int
    heads: int | None = None
    bias_size: int | None = None
    absolute: bool = False
    """Write numbers, not names: in a network's frame."""

    def channels(self, value: Value, ratio: Fraction = Fraction(1)) -> str:
        """Channels of a value, times a ratio."""
        count = value.channels * ratio
        if self.absolute or (value.grid is Grid.PAIR and self.heads is None):
            return str(int(count))
        return (
            _times("heads", count / (self.heads or 1))
            if value.grid is Grid.PAIR
            else _times("width", count / self.width)
        )


def _times(name: str, ratio: Fraction) -> str:
    above = name if ratio.numerator == 1 else f"{ratio.numerator} * {name}"
    return above if ratio.denominator == 1 else f"{above} // {ratio.denominator}"


@dataclass(frozen=True)
class Written:
    """What an operation is in the file."""

    forward: str
    """Expression in `forward`, with places in braces."""
    module: Expression | None = None
    """What `__init__` keeps under the node's name."""
    helpers: tuple[str, ...] = ()
    """Of helpers.py."""
    inline: bool = False
    """Whether it may stand around the expression of its input."""


Writer = Callable[[Op, Where], Written]
WRITERS: dict[str, Writer] = {}


def writes(name: str) -> Callable[[Writer], Writer]:
    """Registers how the operation `name` is written."""

    def register(writer: Writer) -> Writer:
        WRITERS[name] = writer
        return writer

    return register


def written(op: Op, where: Where) -> Written:
    """How an operation is written.

    Raises:
        FormatError: nobody has said it.
    """
    if op.name not in WRITERS:
        raise FormatError(
            f"--to source has no words for the operation {op.name}: register them with uninas.export.source.writes, or "
            "use --to torch-export"
        )
    return WRITERS[op.name](op, where)


def _flag(value: bool) -> str | None:
    return None if value else "False"


@writes("conv")
def _conv(op: Op, where: Where) -> Written:
    a = op.attributes()
    kernel, groups = a["kernel"], a["groups"]
    (x,) = where.inputs
    module = call(
        "nn.Conv2d",
        where.channels(x),
        where.channels(x, a["ratio"]),
        str(kernel),
        padding=str(kernel // 2) if kernel > 1 else None,
        groups=str(groups) if groups > 1 else None,
        bias=_flag(a["bias"]),
    )
    return Written("{self}({0})", module)


@writes("dwconv")
def _dwconv(op: Op, where: Where) -> Written:
    a = op.attributes()
    width, kernel = where.channels(where.inputs[0]), a["kernel"]
    module = call("nn.Conv2d", width, width, str(kernel), padding=str(kernel // 2), groups=width, bias=_flag(a["bias"]))
    return Written("{self}({0})", module)


@writes("batch_norm")
def _batch_norm(op: Op, where: Where) -> Written:
    return Written("{self}({0})", call("nn.BatchNorm2d", where.channels(where.inputs[0])))


@writes("layer_norm")
def _layer_norm(op: Op, where: Where) -> Written:
    return Written("{self}({0})", call("LayerNorm2d", where.channels(where.inputs[0])), ("LayerNorm2d",))


@writes("rms_norm")
def _rms_norm(op: Op, where: Where) -> Written:
    return Written("{self}({0})", call("RMSNorm2d", where.channels(where.inputs[0])), ("RMSNorm2d",))


@writes("group_norm")
def _group_norm(op: Op, where: Where) -> Written:
    groups = str(op.attributes()["groups"])
    return Written("{self}({0})", call("nn.GroupNorm", groups, where.channels(where.inputs[0]), eps="1e-6"))


@writes("layer_scale")
def _layer_scale(op: Op, where: Where) -> Written:
    init = repr(op.attributes()["init"])
    return Written("{self}({0})", call("LayerScale", where.channels(where.inputs[0]), init), ("LayerScale",))


@writes("dropout")
def _dropout(op: Op, where: Where) -> Written:
    return Written("{self}({0})", call("nn.Dropout", repr(op.attributes()["p"])))


ACTIVATION_MODULES = {
    "gelu": "nn.GELU()",
    "relu": "nn.ReLU()",
    "relu6": "nn.ReLU6()",
    "silu": "nn.SiLU()",
    "hardswish": "nn.Hardswish()",
    "sigmoid": "nn.Sigmoid()",
}
"""As modules, for the frame of a network."""


def _activation(text: str) -> Writer:
    return lambda op, where: Written(text, inline=True)


for _name in ("gelu", "relu", "relu6", "silu", "hardswish"):
    WRITERS[_name] = _activation(f"F.{_name}({{0}})")
WRITERS["sigmoid"] = _activation("torch.sigmoid({0})")
WRITERS["softmax"] = lambda op, where: Written("F.softmax({0}, dim=-1)", inline=True)
WRITERS["max_pool"] = lambda op, where: Written("F.max_pool2d({0}, 3, stride=1, padding=1)")
WRITERS["avg_pool"] = lambda op, where: Written("F.avg_pool2d({0}, 3, stride=1, padding=1, count_include_pad=False)")
WRITERS["global_avg_pool"] = lambda op, where: Written("torch.mean({0}, (2, 3), keepdim=True)")
WRITERS["upsample"] = lambda op, where: Written("{0}.expand(-1, -1, *{size})")
WRITERS["chunk"] = lambda op, where: Written(f"torch.chunk({{0}}, {op.outputs}, dim=1)")
WRITERS["concat"] = lambda op, where: Written("torch.cat([{all}], dim=1)")
WRITERS["add"] = lambda op, where: Written(" + ".join(f"{{{i}}}" for i in range(len(where.inputs))))
WRITERS["subtract"] = lambda op, where: Written("{0} - {1}")


@writes("multiply")
def _multiply(op: Op, where: Where) -> Written:
    if op.attributes()["gate"] == "sigmoid":
        return Written("{0} * torch.sigmoid({1})")
    return Written(" * ".join(f"{{{i}}}" for i in range(len(where.inputs))))


def heads_of(op: Op, where: Where) -> str:
    """The number of heads, as `forward` says it."""
    return "self.heads" if where.heads is not None else str(op.attributes()["heads"])


@writes("matmul1")
def _matmul1(op: Op, where: Where) -> Written:
    return Written(f"affinities({{0}}, {{1}}, {heads_of(op, where)})", helpers=("split_heads", "affinities"))


@writes("matmul2")
def _matmul2(op: Op, where: Where) -> Written:
    helpers = ("split_heads", "join_heads", "mix")
    return Written(f"mix({{0}}, {{1}}, {heads_of(op, where)})", helpers=helpers)


@writes("rel_pos_bias")
def _rel_pos_bias(op: Op, where: Where) -> Written:
    size = "bias_size" if where.bias_size is not None else str(op.attributes()["size"])
    module = call("RelativePositionBias", where.channels(where.inputs[0]), size)
    return Written("{0} + {self}(*{size})", module, ("RelativePositionBias",))


@writes("mask")
def _mask(op: Op, where: Where) -> Written:
    a = op.attributes()
    if a["fill"] == "zero":
        return Written(f"keep_band({{0}}, {a['band']})", helpers=("outside_band", "keep_band"))
    return Written(f"{{0}} + band_bias({{0}}, {a['band']})", helpers=("outside_band", "band_bias"))


for _name in ("conv", "dwconv", "batch_norm", "layer_norm", "max_pool"):
    WRITERS[f"any_{_name}"] = WRITERS[_name]
WRITERS["point_softmax"] = WRITERS["softmax"]
WRITERS["point_matmul1"], WRITERS["point_matmul2"] = WRITERS["matmul1"], WRITERS["matmul2"]
WRITERS["pair_avg_pool"] = WRITERS["global_avg_pool"]
WRITERS["pair_upsample"] = lambda op, where: Written("{0}.expand(-1, -1, *[{size}[0] * {size}[1]] * 2)")
WRITERS["zero"] = lambda op, where: Written("torch.zeros_like({0})")


@writes("shared_pos_bias")
def _shared_pos_bias(op: Op, where: Where) -> Written:
    grid, size = where.inputs[0].grid, str(op.attributes()["size"])
    if grid is Grid.FULL:
        helpers = ("RelativePositionBias", "MapPositionBias")
        return Written("{0} + {self}(*{0}.shape[2:])", call("MapPositionBias", "1", size), helpers)
    module = call("RelativePositionBias", "1", size)
    size = "*{size}" if grid is Grid.PAIR else "1, 1"
    return Written(f"{{0}} + {{self}}({size})", module, ("RelativePositionBias",))
