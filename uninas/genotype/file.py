"""The genotype's file: YAML or JSON, meant to be read and written by hand.

    schema_version: 1
    graphs:                        # written once, used by name
      mlp:
        nodes:
        - {op: conv, ratio: 4}     # `id` defaults to the operation's name, `inputs` to the node before
        - {op: gelu}
        - {op: conv, ratio: 1/4}
    stages:
    - width: 96
      downsample: {kind: pool}
      blocks:
      - subblocks:
        - {norm: layer, residual: true, graph: mlp}

An input is written `node` or `node:port`; `output` defaults to the last node. A graph can also stand in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from .. import yaml_files
from ..errors import GenotypeError, ResourceError, kind_of, nearest
from ..files import replacing
from ..ops import make
from .downsample import Downsample
from .frame import Head, Stem, StemConv, plain
from .genotype import Block, Genotype, Stage, SubBlock
from .graph import INPUT, OUTPUT, BlockGraph, Ref, fresh_id

SCHEMA_VERSION = 1
_REF = re.compile(r"([^:]*)(?::([0-9]{1,9}))?")


def to_dict(genotype: Genotype) -> dict[str, Any]:
    """Plain data; each distinct graph is written once, under the name of where it first occurs."""
    names: dict[str, str] = {}
    graphs: dict[str, Any] = {}
    stages = []
    for i, stage in enumerate(genotype.stages):
        blocks = []
        for j, block in enumerate(stage.blocks):
            subblocks = []
            for k, sub in enumerate(block.subblocks):
                written = graph_to_dict(sub.graph)
                text = json.dumps(written)
                if text not in names:
                    names[text] = f"stage{i + 1}_block{j + 1}_{k + 1}"
                    graphs[names[text]] = written
                entry: dict[str, Any] = {"norm": sub.norm, "residual": sub.residual}
                if sub.activation:
                    entry["activation"] = sub.activation
                subblocks.append({**entry, "graph": names[text]})
            blocks.append({"subblocks": subblocks})
        stages.append({"width": stage.width, "downsample": stage.downsample.to_dict(), "blocks": blocks})
    data: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    if genotype.name:
        data["name"] = genotype.name
    convs = [{key: value for key, value in plain(conv).items() if value is not None} for conv in genotype.stem.convs]
    return {**data, "stem": {"convs": convs}, "head": plain(genotype.head), "graphs": graphs, "stages": stages}


def graph_to_dict(graph: BlockGraph) -> dict[str, Any]:
    """One graph as plain data, in the layout of the file."""
    nodes = []
    previous = Ref(INPUT)
    for node, op in graph.ops.items():
        entry: dict[str, Any] = {"id": node, "op": op.name}
        defaults = {spec.name: spec.default for spec in fields(op)}
        for key, value in op.attributes().items():
            if value != defaults[key]:
                entry[key] = (int(value) if value.denominator == 1 else str(value)) if key == "ratio" else value
        if graph.sources[node] != (previous,):
            entry["inputs"] = [str(ref) for ref in graph.sources[node]]
        nodes.append(entry)
        previous = Ref(node)
    data: dict[str, Any] = {"nodes": nodes}
    if graph.sources[OUTPUT] != (previous,):
        data["output"] = str(graph.sources[OUTPUT][0])
    return data


def from_dict(data: Any) -> Genotype:
    """A genotype from plain data; among its `graphs` there may be block graphs, which are taken as they are."""
    _mapping(data, "", {"schema_version", "name", "stem", "head", "graphs", "stages"}, {"schema_version", "stages"})
    version = data["schema_version"]
    if type(version) is not int or version != SCHEMA_VERSION:
        message = f"this uninas reads version {SCHEMA_VERSION}, the file has {version!r}; update uninas or the file"
        raise GenotypeError(message, "schema_version")
    graphs: dict[str, BlockGraph] = {}
    written = data.get("graphs", {})
    if not isinstance(written, Mapping):
        raise GenotypeError(f"wants a mapping from names to graphs, got {kind_of(written)}", "graphs")
    for key, graph in written.items():
        if not isinstance(key, str):
            raise GenotypeError(f"the name of a graph is text, got {key!r}", f"graphs.{key}")
        graphs[key] = graph if isinstance(graph, BlockGraph) else graph_from_dict(graph, f"graphs.{key}")
    stem = Stem()
    if "stem" in data:
        _mapping(data["stem"], "stem", {"convs"}, {"convs"})
        convs = _list(data["stem"]["convs"], "stem.convs")
        stem = _make(Stem, "stem", convs=tuple(_plain(StemConv, c, f"stem.convs[{i}]") for i, c in enumerate(convs)))
    head = _plain(Head, data["head"], "head") if "head" in data else Head()
    written = _list(data["stages"], "stages")
    stages = tuple(_stage(stage, f"stages[{i}]", graphs) for i, stage in enumerate(written))
    return Genotype(stages, stem, head, data.get("name"))


def _stage(data: Any, path: str, graphs: Mapping[str, BlockGraph]) -> Stage:
    _mapping(data, path, {"width", "downsample", "blocks"}, {"width", "blocks"})
    downsample = _plain(Downsample, data.get("downsample", {}), f"{path}.downsample")
    blocks = []
    for j, block in enumerate(_list(data["blocks"], f"{path}.blocks")):
        where = f"{path}.blocks[{j}]"
        _mapping(block, where, {"subblocks"}, {"subblocks"})
        written = _list(block["subblocks"], f"{where}.subblocks")
        found = tuple(_subblock(sub, f"{where}.subblocks[{k}]", graphs) for k, sub in enumerate(written))
        blocks.append(_make(Block, where, subblocks=found))
    return _make(Stage, path, width=data["width"], blocks=tuple(blocks), downsample=downsample)


def _subblock(data: Any, path: str, graphs: Mapping[str, BlockGraph]) -> SubBlock:
    _mapping(data, path, {"norm", "residual", "activation", "graph"}, {"graph"})
    graph = data["graph"]
    if isinstance(graph, str):
        if graph not in graphs:
            options = nearest(graph, graphs) if graphs else "the file has no `graphs`"
            raise GenotypeError(f"there is no graph {graph!r}; {options}", f"{path}.graph")
        graph = graphs[graph]
    else:
        graph = graph_from_dict(graph, f"{path}.graph")
    return _make(SubBlock, path, **{**data, "graph": graph})


def graph_from_dict(data: Any, path: str) -> BlockGraph:
    """One graph from plain data. Raises GenotypeError with the place of what is wrong, under `path`."""
    _mapping(data, path, {"nodes", "output"}, {"nodes"})
    nodes = _list(data["nodes"], f"{path}.nodes")
    ids: list[str] = []
    given = {node["id"] for node in nodes if isinstance(node, Mapping) and isinstance(node.get("id"), str)}
    for index, node in enumerate(nodes):
        where = f"{path}.nodes[{index}]"
        if not isinstance(node, Mapping):
            raise GenotypeError(f"wants a mapping such as {{op: conv, kernel: 3}}, got {node!r}", where)
        if "op" not in node:
            raise GenotypeError("every node needs an `op`", f"{where}.op")
        identity = node["id"] if "id" in node else fresh_id(str(node["op"]), given | set(ids))
        if not isinstance(identity, str):
            raise GenotypeError(f"an id is text, got {identity!r}", f"{where}.id")
        if identity in ids:
            raise GenotypeError(f"{identity!r} is used by nodes[{ids.index(identity)}] too", f"{where}.id")
        ids.append(identity)
    ops, sources, previous = {}, {}, Ref(INPUT)
    for index, (identity, node) in enumerate(zip(ids, nodes)):
        where = f"{path}.nodes[{index}]"
        attributes = {key: value for key, value in node.items() if key not in ("id", "op", "inputs")}
        try:
            ops[identity] = make(node["op"], attributes)
        except GenotypeError as error:
            raise error.under(where) from None
        if "inputs" in node:
            written = _list(node["inputs"], f"{where}.inputs")
            sources[identity] = tuple(_ref(ref, f"{where}.inputs[{p}]") for p, ref in enumerate(written))
        else:
            sources[identity] = (previous,)
        previous = Ref(identity)
    sources[OUTPUT] = (_ref(data["output"], f"{path}.output") if "output" in data else previous,)
    try:
        return BlockGraph.from_sources(ops, sources)
    except GenotypeError as error:
        raise error.under(path) from None


def _ref(text: Any, path: str) -> Ref:
    found = _REF.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise GenotypeError(f"an input is written `node` or `node:port`, got {text!r}", path)
    return Ref(found[1], int(found[2] or 0))


def _mapping(data: Any, path: str, known: set[str], needed: set[str]) -> None:
    if not isinstance(data, Mapping):
        raise GenotypeError(f"wants a mapping with {', '.join(sorted(known))}; got {kind_of(data)}", path)
    prefix = f"{path}." if path else ""
    for key in data:
        if key not in known:
            raise GenotypeError(f"unknown key; {nearest(str(key), known)}", f"{prefix}{key}")
    for key in sorted(needed):
        if key not in data:
            raise GenotypeError("is missing", f"{prefix}{key}")


def _list(data: Any, path: str) -> list[Any]:
    if not isinstance(data, (list, tuple)):
        raise GenotypeError(f"wants a list, got {kind_of(data)}", path)
    return list(data)


def _plain(kind: Any, data: Any, path: str) -> Any:
    """A dataclass of plain values from a mapping."""
    known = {spec.name for spec in fields(kind)}
    _mapping(data, path, known, {spec.name for spec in fields(kind) if spec.default is MISSING})
    return _make(kind, path, **data)


def _make(kind: Any, path: str, /, **values: Any) -> Any:
    try:
        return kind(**values)
    except GenotypeError as error:
        raise error.under(path) from None


def dumps(genotype: Genotype) -> str:
    """The YAML text."""
    return yaml_files.dump(to_dict(genotype))


def save(genotype: Genotype, path: str | Path) -> None:
    """Writes to a temporary name beside `path`, reads it back, compares, and renames."""
    path = Path(path)
    is_json = yaml_files.is_json(path)
    text = json.dumps(to_dict(genotype), indent=1) if is_json else dumps(genotype)
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
            written = yaml_files.parse(temporary.read_text(encoding="utf-8"), is_json)
            if to_dict(from_dict(written)) != to_dict(genotype):
                raise GenotypeError("what was written does not read back the same; please report this", str(path))
    except (OSError, ValueError) as error:  # ValueError: characters that no file name or no UTF-8 text can have
        raise GenotypeError(f"cannot write: {getattr(error, 'strerror', None) or error}", str(path)) from None


def load(path: str | Path) -> Genotype:
    """Reads and validates a file."""
    try:
        data = yaml_files.read(Path(path))
    except ResourceError as error:
        raise GenotypeError(str(error), str(path)) from None
    try:
        return from_dict(data)
    except GenotypeError as error:
        raise GenotypeError(str(error), str(path)) from None
