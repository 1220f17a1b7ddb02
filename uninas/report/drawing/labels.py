"""What a drawing writes on an operation, and the kind of operation that its colour stands for."""

from __future__ import annotations

from fractions import Fraction

from ...genotype import Genotype
from ...ops import Op
from ...ops.composite import AttentionLayer, SqueezeExciteLayer
from ...ops.layers import (
    ConvLayer,
    FloorHalvingPool,
    GlobalPoolLayer,
    HalvingPool,
    Layer,
    LinearLayer,
    OpLayer,
    StridedMaxPool,
)
from ...ops.pool import GlobalAvgPool

KINDS = {
    "conv": "convolution",
    "norm": "norm",
    "activation": "activation",
    "pool": "pool",
    "attention": "attention",
    "merge": "merge",
    "other": "other",
}
"""What the colours of a drawing mean, by the classes of its style sheet."""
_KIND_OF_ROLE = {"matmul": "attention", "mask": "attention", "bias": "attention", **{kind: kind for kind in KINDS}}


def op_kind(op: Op) -> str:
    """A key of KINDS."""
    return _KIND_OF_ROLE.get(op.role or "other", "other")


def op_label(op: Op) -> str:
    """`conv 3×3 ×4`, `q·k 12 heads`, `BN`: with the attributes that decide what flows on."""
    attributes = op.attributes()
    words = [op.label or op.name.replace("_", " ")]
    if "kernel" in attributes:
        words.append(f"{op.attributes()['kernel']}×{attributes['kernel']}")
    if attributes.get("groups", 1) > 1:
        words.append(f"{attributes['groups']} groups")
    if attributes.get("ratio", 1) != 1:
        words.append(ratio_label(attributes["ratio"]))
    if "heads" in attributes:
        words.append(f"{attributes['heads']} head{'s' if attributes['heads'] > 1 else ''}")
    if "parts" in attributes:
        words.append(f"in {attributes['parts']}")
    if attributes.get("gate", "none") != "none":
        words.append(str(attributes["gate"]))
    return " ".join(words)


def ratio_label(ratio: Fraction) -> str:
    """4 -> `×4`, 1/4 -> `÷4`."""
    return f"×{ratio}" if ratio >= 1 else f"÷{1 / ratio}"


def layer_op(layer: Layer) -> Op | None:
    """The operation of the alphabet that a layer of the frame is, if it is one."""
    return GlobalAvgPool() if isinstance(layer, GlobalPoolLayer) else layer.op if isinstance(layer, OpLayer) else None


def layer_label(layer: Layer) -> tuple[str, str]:
    """(label, kind) of a layer of stem, downsampling or head."""
    op = layer_op(layer)
    if op is not None:
        return op_label(op), op_kind(op)
    if isinstance(layer, ConvLayer):
        stride = f" stride {layer.stride}" if layer.stride > 1 else ""
        return f"{'dw' if layer.groups > 1 else 'conv'} {layer.kernel}×{layer.kernel}{stride}", "conv"
    if isinstance(layer, (HalvingPool, FloorHalvingPool)):
        return "avg pool 2×2", "pool"
    if isinstance(layer, StridedMaxPool):
        return "max pool 3×3 stride 2", "pool"
    if isinstance(layer, SqueezeExciteLayer):
        return f"squeeze-excite {layer.hidden}", "merge"
    if isinstance(layer, AttentionLayer):
        return f"attention {layer.heads} head{'s' if layer.heads > 1 else ''}", "attention"
    if isinstance(layer, LinearLayer):
        return "linear", "conv"
    return type(layer).__name__, "other"


def subblock_labels(genotype: Genotype) -> dict[tuple, str]:
    """A letter A, B, ..., Z, A2, ... for each distinct sub-block, by its signature, in order of appearance."""
    found: dict[tuple, str] = {}
    for _, sub in genotype.subblocks:
        round_, index = divmod(len(found), 26)
        found.setdefault(tuple(sub.signature), chr(65 + index) + (str(round_ + 1) if round_ else ""))
    return found
