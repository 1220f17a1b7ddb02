"""matmul1 [+ addends] + softmax + matmul2 -> one scaled dot-product attention.

Addends are what operations such as relative position bias and the excluding mask add (`Op.addend`). They become the
additive attention mask, 1 x heads x N x N for the whole batch; the affinities of the batch, B x heads x N x N, are
never kept. A mask that zeroes affinities is not additive: such a chain stays as it is.
"""

from __future__ import annotations

from typing import Any

from torch import fx

from ...ops import Matmul1, Matmul2, Softmax, Value
from ...ops.modules.attention import FusedAttention, RelativePositionBias
from .edit import called_module, insert_call, op_of, used_once
from .rules import Addend, Attention
from .values import infer_node


def fuse_attention(graph: fx.Graph) -> int:
    """Fuses every chain whose intermediate results nobody else uses."""
    count = sum(_fuse(node) for node in list(graph.nodes) if isinstance(op_of(node), Matmul2))
    if count:
        graph.eliminate_dead_code()
    return count


def _fuse(mix: fx.Node) -> bool:
    softmax: Any = mix.args[0]
    if not isinstance(op_of(softmax), Softmax) or not used_once(softmax):
        return False
    additive: list[fx.Node] = []
    scores = softmax.args[0]
    while _addend(scores) is not None and used_once(scores):
        additive.append(scores)
        scores = scores.args[0]
    affinity = op_of(scores)
    if not isinstance(affinity, Matmul1) or not used_once(scores):
        return False
    bias = None
    for node in reversed(additive):  # from the affinities on; the first one stands alone
        op, value = op_of(node), _addend(node)
        if op is not None and value is not None:
            node.meta["op"] = Addend(op, value)
        node.update_arg(0, bias)
        infer_node(node)
        bias = node
    inputs = (*scores.args, mix.args[1]) if bias is None else (*scores.args, mix.args[1], bias)
    fused = insert_call(mix, "attention", FusedAttention(affinity.heads), inputs, Attention(affinity.heads))
    mix.replace_all_uses_with(fused)
    return True


def defer_biases(graph: fx.Graph) -> int:
    """Lets a bias that goes straight into a fused attention, and nowhere else, be expanded there when it is large."""
    count = 0
    for node in graph.nodes:
        bias = node.args[3] if isinstance(called_module(node), FusedAttention) and len(node.args) > 3 else None
        if isinstance(bias, fx.Node) and used_once(bias) and bias.args[0] is None:
            called = called_module(bias)
            if isinstance(called, RelativePositionBias) and not called.defers:
                called.defers = True
                count += 1
    return count


def _addend(node: fx.Node) -> Value | None:
    """The value of what a node adds to its input, if that is all it does."""
    op = op_of(node)
    return op.addend(node.meta["inputs"]) if op is not None else None
