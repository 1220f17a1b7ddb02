"""Tree -> the authors' JSON, in the layout that their `to_string` writes.

One shape is written otherwise: that of MatmulLeft, which their package squares when it writes and again when it reads.
Here it is the shape of what goes in, so that what they read is what a new network of theirs has.
"""

from __future__ import annotations

import json
from typing import Any

from .tree import HEAD_WIDTH, Model, Node, Sequence_

Shape = tuple[int, int, int]


def dumps(model: Model) -> str:
    """The text of a file."""
    stages = [
        [
            {
                "subblock1": _sequence(block.first, (stage.width, side, side)),
                "subblock2": _sequence(block.second, (stage.width, side, side)),
            }
            for block in stage.blocks
        ]
        for stage, side in zip(model.stages, model.sides)
    ]
    data = {
        "img_size": model.img_size,
        "num_classes": model.num_classes,
        "drop_rate": model.drop_rate,
        "embed_dim": [stage.width for stage in model.stages],
        "depths": [len(stage.blocks) for stage in model.stages],
        "model_str": json.dumps(stages),
        "stem_width": list(model.stem_width),
    }
    return json.dumps(data, indent=1) + "\n"


def _entry(kind: str, shape: tuple[int, ...], **params: Any) -> dict[str, Any]:
    return {"class": kind, "shape": list(shape), "params": params}


def _sequence(nodes: Sequence_, shape: Shape) -> dict[str, Any]:
    modules = []
    inside = shape
    for node in nodes:
        modules.append(_node(node, inside))
        inside = _after(node, inside)
    return _entry("SequentialModule", shape, modules=modules)


def _after(node: Node, shape: Shape) -> Shape:
    """The shape behind a node: channels change where three times as many, or a third, go on."""
    channels, height, width = shape
    if node.kind == "ConvExp3" or node.pair[0] == "convexp3":
        return (3 * channels, height, width)
    if node.pair == ("chunk", "matmul"):
        return (channels // 3, height, width)
    if node.kind == "SequentialModule":
        for inner in node.sequences("modules")[0]:
            shape = _after(inner, shape)
        return shape
    if node.kind == "MergeModule" and node.pair[0] == "matmul":
        return (channels // 3, height, width)
    return shape


def _node(node: Node, shape: Shape) -> dict[str, Any]:
    channels, height, width = shape
    if node.kind == "SequentialModule":
        return _sequence(node.sequences("modules")[0], shape)
    if node.kind == "ForkMerge":
        parts = node.number if node.pair[0] == "chunk" else 1
        branches = [_sequence(branch, (channels // parts, height, width)) for branch in node.sequences("branches")]
        return _entry(node.kind, shape, branches_count=node.number, fork_merge_tuple=list(node.pair), branches=branches)
    if node.kind == "ForkMergeAttention":
        head, pair = (HEAD_WIDTH, height, width), (1, height * width, height * width)
        count = len(node.sequences("connections"))
        return _entry(
            node.kind,
            shape,
            branches=[_sequence(branch, head) for branch in node.sequences("branches")],
            matmullefts=[_entry("MatmulLeft", head)] * count,
            matmulrights=[_entry("MatmulRight", head)] * count,
            connections=[_sequence(connection, pair) for connection in node.sequences("connections")],
            post_branches=[_sequence(branch, head) for branch in node.sequences("post_branches")],
        )
    if node.kind in ("ExpandAndReduce", "ReduceAndExpand"):
        inside = channels * node.number if node.kind == "ExpandAndReduce" else channels // node.number
        inner = _sequence(node.sequences("sequential")[0], (inside, height, width))
        return _entry(node.kind, shape, sequential=inner, factor=node.number, scheme="kaiming_normal")
    if node.kind == "AvgAndUpsample":
        return _entry(node.kind, shape, sequential=_sequence(node.sequences("sequential")[0], (channels, 1, 1)))
    if node.kind == "MergeModule":
        pair = (1, height * width, height * width)
        process = _sequence(node.sequences("process")[0], pair)
        return _entry(node.kind, shape, func_merge_str=node.pair[0], process=process)
    if node.kind == "Chunk":
        return _entry(node.kind, (), branches_count=node.number)
    return _entry(node.kind, shape)
