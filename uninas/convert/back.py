"""Genotype -> tree: frame and blocks, or the first thing that their package cannot say."""

from __future__ import annotations

from collections.abc import Iterator

from ..genotype import INPUT, Genotype, Head, Stem, SubBlock
from ..genotype.frame import plain
from ..ops import Grid
from .emit import reached_from_output
from .errors import ConvertError
from .networks import stem_of
from .parse import parse
from .tree import BlockTree, Model, Node, Sequence_, StageTree

DEFAULT_SIZE = 224


def to_model(genotype: Genotype, img_size: int | None = None, num_classes: int = 1000) -> Model:
    """A genotype as a network of theirs.

    Args:
        img_size: image side for which it is built there; None: the one that its tables of relative position bias are
            for, or 224.

    Raises:
        ConvertError: the first thing that cannot be said there, with its path in the genotype's file.
    """
    stem, head = genotype.stem, genotype.head
    _check_stem(stem)
    expected = Head(norm="layer", dropout=head.dropout)
    for key, value in plain(head).items():
        if value != plain(expected).get(key):
            raise ConvertError(f"theirs has {plain(expected).get(key)!r} here, this network {value!r}", f"head.{key}")
    size = img_size or _size_of_tables(genotype) or DEFAULT_SIZE
    widths = stem.convs[0].width, stem.convs[1].width
    frame = Model(tuple(StageTree(s.width, ()) for s in genotype.stages), size, num_classes, head.dropout, widths)
    if size % 2 or frame.sides != frame.real_sides[1:] or 0 in frame.sides:
        raise ConvertError(f"their package cannot run such a network at {size}; a multiple of 32 fits", "--input-size")
    stages, before = [], stem.width
    for i, (stage, side) in enumerate(zip(genotype.stages, frame.real_sides)):
        _check_downsample(stage.downsample.kind, before == stage.width, side % 2 == 1, f"stages[{i}].downsample.kind")
        blocks = []
        for j, block in enumerate(stage.blocks):
            path = f"stages[{i}].blocks[{j}]"
            if len(block.subblocks) > 2:
                raise ConvertError(f"theirs has two sub-blocks a block, this one {len(block.subblocks)}", path)
            pair = [
                _sequence(sub, stage.width, frame.sides[i], f"{path}.subblocks[{k}]")
                for k, sub in enumerate(block.subblocks)
            ]
            blocks.append(BlockTree(pair[0], pair[1] if len(pair) > 1 else (Node("Zero"),)))
        stages.append(StageTree(stage.width, tuple(blocks)))
        before = stage.width
    return Model(tuple(stages), size, num_classes, head.dropout, widths)


def _check_stem(stem: Stem) -> None:
    if len(stem.convs) != 2:
        raise ConvertError(f"theirs is two convolutions, this one is {len(stem.convs)}", "stem.convs")
    expected = stem_of((stem.convs[0].width, stem.convs[1].width))
    for i, (ours, theirs) in enumerate(zip(stem.convs, expected.convs)):
        for key, value in plain(ours).items():
            there = plain(theirs).get(key)
            if value != there:
                message = f"theirs has {_text(there)} here, this network {_text(value)}; write {key}: {_text(there)}"
                raise ConvertError(f"{message} in the genotype's file", f"stem.convs[{i}].{key}")


def _text(value: object) -> str:
    return "null" if value is None else str(value).lower()


def _check_downsample(kind: str, same_width: bool, odd: bool, path: str) -> None:
    if kind == "pool" and same_width:
        raise ConvertError("theirs has no convolution where the width stays; write plain_pool", path)
    if kind == "pool" and odd:
        raise ConvertError(
            "theirs leaves out the last row of an odd side, pool rounds up; choose an --input-size", path
        )
    if kind not in ("pool", "plain_pool"):
        raise ConvertError(f"theirs averages and convolves (pool, plain_pool), this stage starts with {kind}", path)


def _sequence(sub: SubBlock, width: int, side: int, path: str) -> Sequence_:
    if not sub.residual:
        raise ConvertError("theirs adds the input to every sub-block, this one has no residual", f"{path}.residual")
    if sub.activation:
        raise ConvertError(
            f"theirs has no activation behind a sub-block, this one {sub.activation}", f"{path}.activation"
        )
    if sub.norm != ("layer" if INPUT in reached_from_output(sub.graph) else None):
        raise ConvertError(
            f"theirs has a layer norm before every sub-block, this one {_text(sub.norm)}", f"{path}.norm"
        )
    try:
        return parse(sub.graph, width, side)
    except ConvertError as error:
        raise error.under(f"{path}.graph") from None


def _size_of_tables(genotype: Genotype) -> int | None:
    """The image side at which the first table of biases over affinities is exact."""
    return next(_sizes(genotype), None)


def _sizes(genotype: Genotype) -> Iterator[int]:
    for (i, _, _), sub in genotype.subblocks:
        width = genotype.stages[i].width
        for node, op in sub.graph.ops.items():
            if op.name in ("rel_pos_bias", "shared_pos_bias") and sub.graph.inputs_of(node, width)[0].grid is Grid.PAIR:
                yield op.attributes()["size"] * genotype.strides[i]
