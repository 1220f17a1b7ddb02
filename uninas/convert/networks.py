"""Tree -> genotype: stem, stages, blocks and head, with a link from each of our tensors to theirs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import GenotypeError
from ..genotype import Block, Downsample, Genotype, Head, Stage, Stem, StemConv, SubBlock
from .emit import Emitted, Link, emit
from .errors import ConvertError
from .tree import SIZED, Model, walk

_PLAIN = ("weight", "bias")
_BATCH_NORM = (*_PLAIN, "running_mean", "running_var", "num_batches_tracked")


@dataclass
class Conversion:
    """A genotype and where its weights come from."""

    genotype: Genotype
    links: list[Link]
    """One for each tensor of our network's state dict."""
    unused: list[str]
    """Prefixes of their tensors that have no place in ours, since nothing reads them."""
    masks: dict[str, int]
    """Their buffers that hold a band, and the number of its rows."""


def stem_of(widths: tuple[int, int]) -> Stem:
    """Their stem, which is timm's: two 3 x 3 convolutions without bias."""
    first = StemConv(widths[0], 3, 2, bias=False, norm="batch", activation="gelu")
    return Stem((first, StemConv(widths[1], 3, 1, bias=False)))


def to_genotype(model: Model, name: str | None = None) -> Conversion:
    """A network of theirs as a genotype.

    A sub-block that gives 0 everywhere is left out; one that does not depend on its input has no norm, since theirs is
    never used.

    Raises:
        ConvertError: something that our graphs cannot say, with its place in the file.
    """
    weights, stages = _Weights(), []
    before = model.stem_width[1]
    for i, (stage, side) in enumerate(zip(model.stages, model.real_sides)):
        _check_sides(model, i)
        downsample = Downsample("pool" if before != stage.width and side % 2 == 0 else "plain_pool")
        blocks = []
        for j, block in enumerate(stage.blocks):
            pair = [
                emit(sequence, stage.width, f"stages.{i}.blocks.{j}.subblock{k}")
                for k, sequence in enumerate((block.first, block.second), 1)
            ]
            if j == 0 and pair[0].constant:
                message = "the first sub-block of a stage does not depend on its input, which our stages cannot say"
                raise ConvertError(message, f"model_str[{i}][{j}].subblock1")
            kept = [k for k, sub in enumerate(pair) if not sub.is_zero] or [0]
            weights.add_block((i, j), pair, kept, model.sides[i], before != stage.width)
            blocks.append(Block(tuple(_subblock(pair[k]) for k in kept)))
        stages.append(Stage(stage.width, tuple(blocks), downsample))
        before = stage.width
    try:
        stem, head = stem_of(model.stem_width), Head(norm="layer", dropout=model.drop_rate)
        genotype = Genotype(tuple(stages), stem, head, name)
    except GenotypeError as error:
        raise ConvertError(str(error)) from None
    links = [*_stem_links(), *weights.links, *_head_links(model)]
    return Conversion(genotype, links, weights.unused, weights.masks)


@dataclass
class _Weights:
    """What is known of the weights so far: as in Conversion."""

    links: list[Link] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    masks: dict[str, int] = field(default_factory=dict)

    def add_block(self, at: tuple[int, int], pair: list[Emitted], kept: list[int], side: int, widens: bool) -> None:
        """Those of a block.

        Args:
            at: stage and block.
            pair: its two sub-blocks, of which those in `kept` have a place in ours.
            side: of the grid.
            widens: whether the stage has another width than what comes in.
        """
        i, j = at
        theirs = f"stages.{i}.blocks.{j}"
        for k, sub in enumerate(pair):
            norm, place = f"{theirs}.norm{k + 1}", f"stages.{i}.{j}.subblocks.{kept.index(k) if k in kept else 0}"
            self.unused += sub.unused
            if k not in kept:
                self.unused += [f"{norm}.", *sub.masks]
                continue
            self.masks |= {name: grid.extent((side, side))[0] for name, grid in sub.masks.items()}
            self.links += [link._replace(ours=f"{place}.graph.{link.ours}") for link in sub.links]
            if sub.constant:
                self.unused.append(f"{norm}.")
                continue
            first = j == k == 0
            self.link(f"{place}.prepare.0", f"{norm}.norm" if first else norm)
            if first and widens:
                self.link(f"{place}.prepare.2", f"{norm}.down.expand")
                self.link(f"{place}.shortcut.1", f"{theirs}.shortcut.expand")

    def link(self, ours: str, theirs: str) -> None:
        self.links += [Link(f"{ours}.{name}", (f"{theirs}.{name}",)) for name in _PLAIN]


def _subblock(sub: Emitted) -> SubBlock:
    return SubBlock(sub.graph, norm=None if sub.constant else "layer")


def _check_sides(model: Model, i: int) -> None:
    """Their nodes are built for sides that are halved in another way than the images are."""
    said, real = model.sides[i], model.real_sides[i + 1]
    if said == real and real > 0:
        return
    for j, block in enumerate(model.stages[i].blocks):
        for node in (*walk(block.first), *walk(block.second)):
            if node.kind in SIZED or real == 0:
                sides = f"nodes of this stage are for {said} x {said}, its maps {real} x {real}"
                message = f"at img_size {model.img_size}, {sides}"
                raise ConvertError(
                    f"{message}: their package cannot run that; a multiple of 32 fits", f"model_str[{i}][{j}]"
                )


def _stem_links() -> list[Link]:
    links = [Link("stem.0.weight", ("stem.conv1.weight",)), Link("stem.3.weight", ("stem.conv2.weight",))]
    return links + [Link(f"stem.1.{name}", (f"stem.norm1.{name}",)) for name in _BATCH_NORM]


def _head_links(model: Model) -> list[Link]:
    links = [Link(f"head.0.{name}", (f"norm.{name}",)) for name in _PLAIN]
    linear = 3 if model.drop_rate else 2
    if model.num_classes:
        links += [Link(f"head.{linear}.{name}", (f"head.fc.{name}",)) for name in _PLAIN]
    return links
