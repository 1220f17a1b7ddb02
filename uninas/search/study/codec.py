"""Genotypes as bytes: a skeleton in the layout of the genotype file, in which graphs are numbers, and graphs apart."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from ...genotype import BlockGraph, Genotype
from ...genotype.file import SCHEMA_VERSION, graph_from_dict, graph_to_dict
from ...genotype.frame import plain

_plain = lru_cache(maxsize=1024)(plain)
"""Stems and heads as plain data: of many networks a few differ."""


def pack(data: Any) -> bytes:
    """JSON data, compressed."""
    return zlib.compress(json.dumps(data, separators=(",", ":")).encode())


def unpack(body: bytes) -> Any:
    """The data that `pack` was given. Raises zlib.error or ValueError when the bytes are damaged."""
    return json.loads(zlib.decompress(body))


def pack_graph(graph: BlockGraph) -> bytes:
    """A graph with the names and the order of its nodes."""
    return pack(graph_to_dict(graph))


def unpack_graph(body: bytes) -> BlockGraph:
    """The graph that `pack_graph` was given. Raises zlib.error, ValueError or GenotypeError."""
    return graph_from_dict(unpack(body), "graph")


def pack_skeleton(genotype: Genotype, graph_id: Callable[[BlockGraph], int]) -> bytes:
    """A genotype without its graphs."""
    stages = []
    for stage in genotype.stages:
        blocks = []
        for block in stage.blocks:
            subs = [
                {
                    "norm": sub.norm,
                    "residual": sub.residual,
                    "activation": sub.activation,
                    "graph": str(graph_id(sub.graph)),
                }
                for sub in block.subblocks
            ]
            blocks.append({"subblocks": subs})
        stages.append({"width": stage.width, "downsample": stage.downsample.to_dict(), "blocks": blocks})
    data: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    if genotype.name is not None:
        data["name"] = genotype.name
    return pack({**data, "stem": _plain(genotype.stem), "head": _plain(genotype.head), "stages": stages})


def unpack_skeleton(body: bytes, graphs_of: Callable[[Iterable[int]], Mapping[int, BlockGraph]]) -> Genotype:
    """The genotype that `pack_skeleton` was given. Raises zlib.error, ValueError, KeyError or GenotypeError.

    Args:
        graphs_of: graphs by id.
    """
    data = unpack(body)
    subs = (sub for stage in data["stages"] for block in stage["blocks"] for sub in block["subblocks"])
    graphs = graphs_of({int(sub["graph"]) for sub in subs})
    return Genotype.from_dict({**data, "graphs": {str(number): graph for number, graph in graphs.items()}})
