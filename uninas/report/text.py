"""A network in words: each distinct sub-block once, under a letter, and one row a part with its letters and cost."""

from __future__ import annotations

from typing import NamedTuple

from ..genotype import BlockGraph, Genotype, SubBlock, cost_parts
from ..ops import Size
from .drawing.labels import subblock_labels


class Row(NamedTuple):
    """One part of a network: params in scalars, MACs of one image."""

    part: str
    what: str
    output: str
    params: int
    macs: int


def describe(genotype: Genotype, input_size: Size, num_classes: int) -> list[Row]:
    """A row for the stem, each block and the head, and the total."""
    names = subblock_labels(genotype)
    rows = []
    for part, cost, size in cost_parts(genotype, input_size, num_classes):
        if part == "stem":
            what, channels = "convolutions", genotype.stem.width
        elif part == "head":
            what, channels = "classifier" if num_classes else "pooled", num_classes or genotype.head.width
            channels = channels or genotype.stages[-1].width
        else:
            i, j = (int(piece.split("]")[0]) for piece in part.split("[")[1:])
            stage = genotype.stages[i]
            what, channels = " ".join(names[tuple(sub.signature)] for sub in stage.blocks[j].subblocks), stage.width
            if j == 0 and stage.downsample.kind != "none":
                what = f"{what} behind {stage.downsample.kind}"
        rows.append(Row(part, what, f"{channels} x {size[0]} x {size[1]}", cost.params, cost.macs))
    rows.append(Row("total", "", "", sum(r.params for r in rows), sum(r.macs for r in rows)))
    return rows


def format_subblock(sub: SubBlock) -> str:
    """`x + f(layer_norm x), f = conv x4, gelu, conv /4`, the operations in the order of the data flow."""
    names = ", ".join(_name(sub.graph, node) for node in sub.graph.flow_order) or "identity"
    argument = f"{sub.norm}_norm x" if sub.norm else "x"
    frame = f"x + f({argument})" if sub.residual else f"f({argument})"
    return f"{sub.activation}({frame}), f = {names}" if sub.activation else f"{frame}, f = {names}"


def _name(graph: BlockGraph, node: str) -> str:
    op = graph.ops[node]
    attributes = op.attributes()
    words = op.name
    if attributes.get("kernel", 1) > 1:
        words += str(attributes["kernel"])
    ratio = attributes.get("ratio", 1)
    if ratio != 1:
        words += f" x{ratio}" if ratio > 1 else f" /{1 / ratio}"
    if "heads" in attributes:
        words += f" ({attributes['heads']} heads)"
    return words


def graph_rewrites(genotype: Genotype) -> dict[str, dict[str, int]]:
    """How often each pass of the compiler rewrites the graph of each distinct sub-block, by its letter."""
    from ..compiler import lower

    labels = subblock_labels(genotype)
    found: dict[str, dict[str, int]] = {}
    for (i, _, _), sub in genotype.subblocks:
        letter = labels[tuple(sub.signature)]
        if letter not in found:
            found[letter] = lower(sub.graph, genotype.stages[i].width).meta["rewrites"]
    return found


def graph_codes(genotype: Genotype) -> list[tuple[str, str]]:
    """(where, compiled code) of each distinct graph and width."""
    from ..compiler import lower

    seen: dict[tuple[str, int], tuple[str, str]] = {}
    for (i, j, k), sub in genotype.subblocks:
        width = genotype.stages[i].width
        where = f"stages[{i}].blocks[{j}].subblocks[{k}]"
        if (sub.graph.key, width) not in seen:
            seen[sub.graph.key, width] = (where, lower(sub.graph, width).code.strip())
    return list(seen.values())
