"""The authors' JSON -> tree, checked: what their `UNIModelCfg.from_string` and `node_from_string` take.

Of the shapes in a file only that of a relative position bias says something: the others follow from the widths. (Those
of MatmulLeft are squared each time that their package writes what it has read.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import yaml_files
from ..errors import ResourceError, nearest
from .errors import ConvertError
from .tree import (
    COUNTED,
    HEAD_WIDTH,
    HEADS,
    PAIRS,
    PLAIN,
    RESIZING,
    BlockTree,
    Model,
    Node,
    Sequence_,
    StageTree,
    letter_block,
    sequential,
)

FIELDS = ("img_size", "num_classes", "drop_rate", "embed_dim", "depths", "model_str", "stem_width")
DEFAULTS: dict[str, Any] = {
    "img_size": 224,
    "num_classes": 1000,
    "drop_rate": 0.0,
    "embed_dim": [96, 192, 384, 768],
    "depths": [2, 3, 5, 2],
    "stem_width": [32, 64],
}
KINDS = (
    *PLAIN,
    *COUNTED,
    *RESIZING,
    *("AvgAndUpsample", "ForkMerge", "ForkMergeAttention", "ForkModule", "MergeModule", "SequentialModule"),
)
LETTERS = ("R", "E", "T")


def load(path: str | Path) -> Model:
    """Reads a file of theirs.

    Raises:
        ConvertError: it cannot be read, or is not what their package 1.3.0 reads; the message starts with the file's
            name.
    """
    try:
        return model_from_dict(yaml_files.parse(_text(Path(path)), is_json=True))
    except ResourceError as error:
        raise ConvertError(str(error), str(path)) from None
    except ConvertError as error:
        raise ConvertError(str(error), str(path)) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise ConvertError(f"cannot read: {getattr(problem, 'strerror', None) or problem}") from None


def model_from_dict(data: Any) -> Model:
    """A network from the fields of their configuration; missing ones have their package's defaults."""
    if not isinstance(data, Mapping):
        raise ConvertError(f"expected a mapping with {', '.join(FIELDS)}; got {type(data).__name__}")
    for key in data:
        if key not in FIELDS:
            hint = "this is a genotype of ours" if "stages" in data else nearest(str(key), FIELDS)
            raise ConvertError(f"uninas 1.3.0 of the authors has no such field; {hint}", str(key))
    if "model_str" not in data:
        raise ConvertError("is missing: it says what the blocks are", "model_str")
    found = {**DEFAULTS, **data}
    img_size = _whole(found["img_size"], "img_size", 16)
    widths = _wholes(found["embed_dim"], "embed_dim")
    depths = _wholes(found["depths"], "depths")
    stem = found["stem_width"]
    stem = _wholes([stem, stem] if isinstance(stem, int) else stem, "stem_width")
    if len(stem) != 2:
        raise ConvertError(f"expected one or two widths, got {stem}", "stem_width")
    drop = found["drop_rate"]
    if isinstance(drop, bool) or not isinstance(drop, (int, float)) or not 0 <= drop < 1:
        raise ConvertError(f"expected a probability in [0, 1), got {drop!r}", "drop_rate")
    stages = _model_str(found["model_str"])
    if not len(stages) == len(widths) == len(depths):
        counts = f"{len(stages)} stages, embed_dim {len(widths)} and depths {len(depths)}"
        raise ConvertError(f"model_str has {counts}: one each is needed", "embed_dim")
    blank = Model(tuple(StageTree(width, ()) for width in widths), img_size)
    trees = []
    for i, (written, width, depth, side) in enumerate(zip(stages, widths, depths, blank.sides)):
        path = f"model_str[{i}]"
        if not isinstance(written, list) or len(written) != depth:
            raise ConvertError(f"expected a list of {depth} blocks, as depths[{i}] says", path)
        trees.append(StageTree(width, tuple(_block(b, width, side, f"{path}[{j}]") for j, b in enumerate(written))))
    classes = _whole(found["num_classes"], "num_classes", 0)
    return Model(tuple(trees), img_size, classes, float(drop), (stem[0], stem[1]))


def _model_str(text: Any) -> list[Any]:
    if not isinstance(text, str):
        raise ConvertError(f"expected JSON in a string, got {type(text).__name__}", "model_str")
    try:
        found = json.loads(text)
    except ValueError as problem:
        raise ConvertError(f"the string is not JSON: {problem}", "model_str") from None
    if not isinstance(found, list):
        raise ConvertError("expected a list of stages, each a list of blocks", "model_str")
    return found


def _block(written: Any, width: int, side: int, path: str) -> BlockTree:
    if isinstance(written, str):
        if written not in LETTERS:
            raise ConvertError(f"there is no block {written!r}; {nearest(written, LETTERS)}", path)
        if written == "T":
            _check_heads(width, path)
        return letter_block(written, width, side, path)
    if not isinstance(written, Mapping) or set(written) != {"subblock1", "subblock2"}:
        raise ConvertError('expected "R", "E", "T" or {"subblock1": ..., "subblock2": ...}', path)
    return BlockTree(*(_sequence(written[name], f"{path}.{name}") for name in ("subblock1", "subblock2")))


def _check_heads(width: int, path: str) -> None:
    if width % HEAD_WIDTH or width // HEAD_WIDTH not in HEADS:
        widths = ", ".join(str(HEAD_WIDTH * heads) for heads in HEADS)
        raise ConvertError(f"attention there takes {widths} channels, not {width}", path)


def _sequence(data: Any, path: str) -> Sequence_:
    """The nodes of a SequentialModule."""
    if not isinstance(data, Mapping) or data.get("class") != "SequentialModule":
        raise ConvertError("expected a SequentialModule", path)
    return _nodes(_params(data, path).get("modules", []), f"{path}.modules")


def _nodes(data: Any, path: str) -> Sequence_:
    if not isinstance(data, list):
        raise ConvertError(f"expected a list of nodes, got {type(data).__name__}", path)
    return tuple(_node(item, f"{path}[{i}]") for i, item in enumerate(data))


def _sequences(params: Mapping[str, Any], name: str, path: str, count: int | None = None) -> tuple[Sequence_, ...]:
    written = params.get(name)
    if not isinstance(written, list) or (count is not None and len(written) != count):
        expected = "a list of SequentialModules" if count is None else f"{count} SequentialModules"
        raise ConvertError(f"expected {expected}", f"{path}.{name}")
    return tuple(_sequence(item, f"{path}.{name}[{i}]") for i, item in enumerate(written))


def _params(data: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    params = data.get("params", {})
    if not isinstance(params, Mapping):
        raise ConvertError(f"expected a mapping, got {type(params).__name__}", f"{path}.params")
    return params


def _node(data: Any, path: str) -> Node:
    if not isinstance(data, Mapping) or "class" not in data:
        raise ConvertError('expected a node: {"class": ..., "shape": [...], "params": {...}}', path)
    kind = data["class"]
    if kind == "Add":
        raise ConvertError("a lone Add is not read by their package either; write a ForkMerge with copy and add", path)
    if kind not in KINDS:
        raise ConvertError(f"uninas 1.3.0 of the authors has no node {kind!r}; {nearest(str(kind), KINDS)}", path)
    params = _params(data, path)
    if kind == "SequentialModule":
        return sequential(kind, _sequence(data, path), path=path)
    if kind == "ForkMerge":
        return _fork_merge(params, path)
    if kind == "ForkMergeAttention":
        count = len(params.get("connections") or ())
        parts = (("branches", 3 * count), ("connections", count), ("post_branches", count))
        return Node(kind, path, tuple((name, _sequences(params, name, path, n)) for name, n in parts))
    if kind in (*RESIZING, "AvgAndUpsample"):
        inner = _sequence(params.get("sequential"), f"{path}.sequential")
        factor = _whole(params.get("factor", 4), f"{path}.factor") if kind in RESIZING else 0
        return sequential(kind, inner, factor, path)
    if kind in COUNTED:
        return Node(kind, path, number=_whole(params.get("branches_count"), f"{path}.branches_count"))
    if kind == "RelPosBias":
        return Node(kind, path, number=_table_side(data.get("shape"), path))
    if kind == "MergeModule":
        merge = params.get("func_merge_str")
        if merge not in ("", "concat", "add", "multiply", "matmul"):
            raise ConvertError(f"their package does not read the merge {merge!r}", f"{path}.func_merge_str")
        process = _sequence(params["process"], f"{path}.process") if "process" in params else ()
        return Node(kind, path, (("process", (process,)),), (merge, ""))
    if kind == "ForkModule":
        fork = params.get("func_fork_str")
        if fork not in ("", "chunk", "copy") or "sequential" in params:
            raise ConvertError(f"a lone fork {fork!r} is not converted; write a ForkMerge", f"{path}.func_fork_str")
        return Node(kind, path, pair=(fork, ""), number=2)
    return Node(kind, path)


def _fork_merge(params: Mapping[str, Any], path: str) -> Node:
    pair = params.get("fork_merge_tuple")
    if not isinstance(pair, list) or tuple(pair) not in PAIRS:
        known = ", ".join(f"{fork}/{merge}" for fork, merge in PAIRS if fork)
        raise ConvertError(f"there is no {pair!r}; choose from: {known}", f"{path}.fork_merge_tuple")
    count = _whole(params.get("branches_count"), f"{path}.branches_count")
    branches = _sequences(params, "branches", path, count)
    takes = {"multiply": (2,), "matmul": (3,), "": (1,)}.get(pair[1], (1, 2, 3))
    if count not in takes:
        raise ConvertError(f"{pair[0]}/{pair[1]} takes {' or '.join(map(str, takes))} branches, got {count}", path)
    return Node("ForkMerge", path, (("branches", branches),), (pair[0], pair[1]), count)


def _table_side(shape: Any, path: str) -> int:
    """The side of the grid whose positions the last two axes of `shape` stand for."""
    if isinstance(shape, list) and len(shape) == 3 and all(type(side) is int and side > 0 for side in shape):
        side = math.isqrt(shape[1])
        if shape[1] == shape[2] == side * side:
            return side
    message = f"a relative position bias has the shape [channels, n, n] with n a square number, got {shape!r}"
    raise ConvertError(message, f"{path}.shape")


def _whole(value: Any, path: str, minimum: int = 1) -> int:
    if type(value) is not int or value < minimum:
        raise ConvertError(f"expected a whole number of at least {minimum}, got {value!r}", path)
    return value


def _wholes(value: Any, path: str) -> list[int]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ConvertError(f"expected a list of whole numbers, got {value!r}", path)
    return [_whole(item, f"{path}[{i}]") for i, item in enumerate(value)]
