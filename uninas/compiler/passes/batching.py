"""Equal parallel branches -> one operation on all of their channels.

Rules, applied until none fits:
    concat(f(a), f(b), ...)                    ->  f'(concat(a, b, ...))    f' = equal operations side by side
    concat(attention(q1, k1, v1), ...)         ->  attention(concat(q1, ...), concat(k1, ...), concat(v1, ...))
    concat(all ports of one chunk, in order)   ->  the chunk's input
    conv(x), conv(x), ... of equal kind        ->  chunk(one conv(x))
"""

from __future__ import annotations

import operator
from typing import Any

from torch import fx

from ...ops import Chunk, Concat, Conv
from ...ops.modules.attention import FusedAttention
from ...ops.modules.conv import SharedInputConv
from ...ops.modules.merge import ChunkChannels, ConcatChannels
from .edit import as_argument, insert_again, insert_call, insert_port, op_of, used_once
from .rules import Attention, OfOneInput, SideBySide
from .values import value_of


def batch_branches(graph: fx.Graph) -> int:
    """Applies the rules until nothing changes."""
    count = 0
    while _join_one(graph) or _share_one(graph):
        graph.eliminate_dead_code()
        count += 1
    return count


def _join_one(graph: fx.Graph) -> bool:
    for concat in graph.nodes:
        if isinstance(op_of(concat), Concat):
            joined = _join_chunk(concat) or _join_attention(concat) or _join_equal(concat)
            if joined is not None:
                concat.replace_all_uses_with(joined)
                return True
    return False


def _concat(before: fx.Node, parts: list[Any]) -> fx.Node:
    return insert_call(before, "join", ConcatChannels(), parts, Concat())


def _are_copies(branches: tuple[Any, ...]) -> bool:
    """Whether the nodes are distinct, see inputs of equal shape, and feed nobody else."""
    shapes = branches[0].meta["inputs"]
    alone = len(set(branches)) == len(branches) and all(map(used_once, branches))
    return alone and all(node.meta["inputs"] == shapes for node in branches)


def _join_equal(concat: fx.Node) -> fx.Node | None:
    branches: Any = concat.args
    op = op_of(branches[0])
    if op is None or op.arity != 1 or any(op_of(node) != op for node in branches) or not _are_copies(branches):
        return None
    if isinstance(op, Conv) and op.groups == 1 and len({node.args[0] for node in branches}) == 1:
        return None  # one dense convolution does better, see _share
    helper = op.batched()
    if op.channelwise:
        joined = _concat(concat, [node.args[0] for node in branches])
        result = insert_again(concat, branches[0].target, (joined, *branches[0].args[1:]), op)
    elif helper is not None:
        members = [as_argument(node) for node in branches]
        joined = _concat(concat, [node.args[0] for node in branches])
        rule = SideBySide(op, len(branches))
        result = insert_call(concat, f"batched_{op.name}", helper, (joined, *members), rule)
    else:
        return None
    return result


def _join_attention(concat: fx.Node) -> fx.Node | None:
    branches: Any = concat.args
    rule = branches[0].meta.get("op")
    if not isinstance(rule, Attention) or any(node.meta.get("op") != rule for node in branches):
        return None
    if not _are_copies(branches):
        return None
    if len(branches[0].args) > 3 and value_of(branches[0].args[3]).channels != rule.heads:  # one mask for all heads
        return None
    # Queries, keys, values and biases: channels are heads in order, so side by side is what more heads look like.
    args = [_concat(concat, list(parts)) for parts in zip(*(node.args for node in branches))]
    heads = rule.heads * len(branches)
    return insert_call(concat, "attention", FusedAttention(heads), args, Attention(heads))


def _join_chunk(concat: fx.Node) -> fx.Node | None:
    parts: Any = concat.args
    if any(part.target is not operator.getitem for part in parts):
        return None
    chunk = parts[0].args[0]
    op = op_of(chunk)
    if isinstance(op, Chunk) and [part.args for part in parts] == [(chunk, port) for port in range(op.parts)]:
        return chunk.args[0]
    return None


def _share_one(graph: fx.Graph) -> bool:
    for producer in graph.nodes:
        groups: dict[Conv, list[fx.Node]] = {}
        for user in producer.users:
            op = op_of(user)
            if isinstance(op, Conv) and op.groups == 1:
                groups.setdefault(op, []).append(user)
        for convs in groups.values():
            if len(convs) > 1:
                _share(producer, convs)
                return True
    return False


def _share(producer: fx.Node, convs: list[fx.Node]) -> None:
    position = {node: i for i, node in enumerate(producer.graph.nodes)}
    convs = sorted(convs, key=position.__getitem__)
    # The batched call stands where the first convolution stood, so the other members' modules are referred to up there.
    first = convs[0]
    members = [as_argument(conv, first) for conv in convs]
    rule = OfOneInput(op_of(first), len(convs))  # type: ignore[arg-type]
    one = insert_call(first, "shared_conv", SharedInputConv(), (producer, *members), rule)
    chunk = insert_call(first, "split", ChunkChannels(len(convs)), (one,), Chunk(parts=len(convs)))
    for port, conv in enumerate(convs):
        conv.replace_all_uses_with(insert_port(first, chunk, port))
    for conv in convs:
        conv.graph.erase_node(conv)
