"""A network in words: one row a part, with its graphs, output size and cost."""

from __future__ import annotations

from typing import NamedTuple

from ..compiler import lower
from ..genotype import BlockGraph, Genotype, SubBlock, cost_parts
from ..ops import Size


class Row(NamedTuple):
    """One part of a network: params in scalars, MACs of one image."""

    part: str
    what: str
    output: str
    params: int
    macs: int


def describe(genotype: Genotype, input_size: Size, num_classes: int) -> list[Row]:
    """A row for the stem, each block and the head, and the total."""
    rows = []
    for part, cost, size in cost_parts(genotype, input_size, num_classes):
        if part == "stem":
            what, channels = f"{len(genotype.stem.convs)} convolution(s)", genotype.stem.width
        elif part == "head":
            what, channels = "norm, average, linear", num_classes or genotype.stages[-1].width
        else:
            i, j = (int(piece.split("]")[0]) for piece in part.split("[")[1:])
            stage = genotype.stages[i]
            what, channels = "  |  ".join(_words(sub) for sub in stage.blocks[j].subblocks), stage.width
            if j == 0 and stage.downsample.kind != "none":
                what = f"[{stage.downsample.kind}] {what}"
        rows.append(Row(part, what, f"{channels} x {size[0]} x {size[1]}", cost.params, cost.macs))
    rows.append(Row("total", "", "", sum(r.params for r in rows), sum(r.macs for r in rows)))
    return rows


def _words(sub: SubBlock) -> str:
    """`x + (layer: conv x4, gelu, conv /4)`"""
    names = ", ".join(_name(sub.graph, node) for node in sub.graph.flow_order) or "identity"
    inner = f"{sub.norm}: {names}" if sub.norm else names
    return f"x + ({inner})" if sub.residual else f"({inner})"


def _name(graph: BlockGraph, node: str) -> str:
    op = graph.ops[node]
    attributes = op.attributes()
    words = op.name
    if "kernel" in attributes and (op.name != "conv" or attributes["kernel"] > 1):
        words += str(attributes["kernel"])
    ratio = attributes.get("ratio", 1)
    if ratio > 1:
        words += f" x{ratio}"
    elif ratio < 1:
        words += f" /{1 / ratio}"
    if "heads" in attributes:
        words += f" h{attributes['heads']}"
    return words


def graph_codes(genotype: Genotype) -> list[tuple[str, str]]:
    """(where, compiled code) of each distinct graph."""
    seen: dict[tuple[str, int], tuple[str, str]] = {}
    for (i, j, k), sub in genotype.subblocks:
        width = genotype.stages[i].width
        where = f"stages[{i}].blocks[{j}].subblocks[{k}]"
        if (sub.graph.key, width) not in seen:
            seen[sub.graph.key, width] = (where, lower(sub.graph, width).code.strip())
    return list(seen.values())
