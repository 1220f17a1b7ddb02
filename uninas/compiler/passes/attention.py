"""matmul1 [+ relative position bias] [+ excluding mask] + softmax + matmul2 -> one scaled dot-product attention.

The bias and the mask become the additive attention mask, 1 x heads x N x N for the whole batch; the affinities of the
batch, B x heads x N x N, are never kept. A mask that zeroes affinities is not additive: such a chain stays as it is.
"""

from __future__ import annotations

from typing import Any

from torch import fx

from ...ops import Mask, Matmul1, Matmul2, RelPosBias, Softmax
from ...ops.modules.attention import FusedAttention, RelativePositionBias
from .edit import called_module, insert_call, op_of, used_once


def fuse_attention(graph: fx.Graph) -> None:
    """Fuses every chain whose intermediate results nobody else uses."""
    for node in list(graph.nodes):
        if isinstance(op_of(node), Matmul2):
            _fuse(node)
    graph.eliminate_dead_code()


def _fuse(mix: fx.Node) -> None:
    softmax: Any = mix.args[0]
    if not isinstance(op_of(softmax), Softmax) or not used_once(softmax):
        return
    additive: list[fx.Node] = []
    scores = softmax.args[0]
    while _is_additive(scores) and used_once(scores):
        additive.append(scores)
        scores = scores.args[0]
    affinity = op_of(scores)
    if not isinstance(affinity, Matmul1) or not used_once(scores):
        return
    bias = None
    for node in reversed(additive):  # from the affinities on; the first one stands alone
        node.update_arg(0, bias)
        bias = node
    inputs = (*scores.args, mix.args[1]) if bias is None else (*scores.args, mix.args[1], bias)
    fused = insert_call(mix, "attention", FusedAttention(affinity.heads), inputs)
    fused.meta["inputs"] = (*scores.meta["inputs"], mix.meta["inputs"][1])
    fused.meta["bias_heads"] = affinity.heads if any(isinstance(op_of(n), RelPosBias) for n in additive) else 1
    mix.replace_all_uses_with(fused)


def defer_biases(graph: fx.Graph) -> None:
    """Lets a bias that goes straight into a fused attention, and nowhere else, be expanded there when it is large."""
    for node in graph.nodes:
        bias = node.args[3] if isinstance(called_module(node), FusedAttention) and len(node.args) > 3 else None
        if isinstance(bias, fx.Node) and used_once(bias) and bias.args[0] is None:
            called = called_module(bias)
            if isinstance(called, RelativePositionBias):
                called.defers = True


def _is_additive(node: fx.Node) -> bool:
    op = op_of(node)
    return isinstance(op, RelPosBias) or (isinstance(op, Mask) and op.fill == "exclude")
