"""Published networks in the graph language, by name."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import GenotypeError, nearest
from ..genotype import Block, Downsample, Genotype, Head, Stage, Stem, StemConv
from ..genotype.frame import check_choice, check_whole
from . import library
from .published import PUBLISHED

BLOCKS: dict[str, Callable[..., Block]] = {
    "R": library.residual,
    "E": library.mbconv,
    "T": library.transformer,
    "convnext": library.convnext,
    "inverted_residual": library.inverted_residual,
    "bottleneck": library.bottleneck,
    "poolformer": library.poolformer,
    "gated_conv": library.gated_conv,
    "conv_attention": library.conv_attention,
}
"""Block functions by the name that `blocks=` of `network` takes."""

DESIGN_SIZE = 224
"""Image side for whose grids relative position bias tables are made."""


@dataclass(frozen=True)
class _Recipe:
    blocks: tuple[str, ...]
    widths: tuple[int, ...] = (96, 192, 384, 768)
    depths: tuple[int, ...] = (2, 3, 5, 2)
    stem: Stem = Stem()
    head: Head = Head()
    downsample: tuple[str, ...] = ("pool", "pool", "pool", "pool")


NETWORKS = {
    "resnet": _Recipe(("R",) * 4, widths=(64, 128, 384, 512)),
    "efficientnet": _Recipe(("E",) * 4, widths=(96, 192, 384, 512)),
    "vit": _Recipe(("T",) * 4),
    "coatnet": _Recipe(("E", "E", "T", "T")),
    "convnext": _Recipe(
        ("convnext",) * 4,
        depths=(3, 3, 9, 3),
        stem=Stem((StemConv(96, 4, 4, norm="layer"),)),
        head=Head(pool_first=True),
        downsample=("none", "patch", "patch", "patch"),
    ),
}


KNOWN = (*NETWORKS, *PUBLISHED)
"""Names that `network` takes."""


def named_or_file(text: str) -> Genotype:
    """A known network by name, or else a genotype from a file; a file of that name comes first.

    Raises:
        GenotypeError: the file cannot be read or is not valid.
    """
    return network(text) if text in KNOWN and not Path(text).exists() else Genotype.load(text)


def read_genotype(text: str) -> Genotype:
    """A known network by name, or a genotype from a file; of what is neither it says so.

    Raises:
        GenotypeError: there is no such file or network, or the file is not valid.
    """
    if text not in KNOWN and not Path(text).exists():
        raise GenotypeError(f"there is no such file, and no network of that name; {nearest(text, KNOWN)}", text)
    return named_or_file(text)


def as_genotype(genotype: Genotype | Mapping[str, Any] | str | Path) -> Genotype:
    """A genotype: as it is, as plain data, as JSON text, the path of its file, or the name of a known network.

    Raises:
        GenotypeError: it is not valid.
    """
    if isinstance(genotype, Genotype):
        return genotype
    if isinstance(genotype, str) and genotype.lstrip().startswith("{"):
        try:
            return Genotype.from_dict(json.loads(genotype))
        except ValueError as problem:
            raise GenotypeError(f"the text is not JSON: {problem}", "genotype") from None
    if isinstance(genotype, Mapping):
        return Genotype.from_dict(genotype)
    return named_or_file(str(genotype))


def network(
    name: str,
    *,
    widths: Sequence[int] | None = None,
    depths: Sequence[int] | None = None,
    blocks: Sequence[str] | None = None,
    stem: Stem | None = None,
    input_size: int = DESIGN_SIZE,
) -> Genotype:
    """A network of Tybl & Neumann (2025) - `resnet`, `efficientnet`, `vit`, `coatnet` -, `convnext` (ConvNeXt-T), or a
    published one as timm has it: `resnet50`, `mobilenet_v2`, `efficientnet_b0`, `convnext_tiny`, `poolformer_s12`,
    `coatnet_0`.

    Args:
        name: one of KNOWN.
        widths: channels of each stage.
        depths: blocks of each stage.
        blocks: a key of BLOCKS for each stage; not for those of timm.
        stem: instead of the published one; not for those of timm.
        input_size: image side in pixels for whose grids relative position bias tables are made (other sizes
            interpolate).

    Raises:
        GenotypeError: an unknown name, lists of different lengths, or widths that do not fit the blocks.
    """
    if not isinstance(name, str) or name not in KNOWN:
        raise GenotypeError(f"there is no network {name!r}; {nearest(str(name), KNOWN)}", "name")
    if name in PUBLISHED:
        for key, value in {"blocks": blocks, "stem": stem}.items():
            if value is not None:
                raise GenotypeError(f"{name} is as published; widths and depths may be given", key)
        check_whole(input_size, "input_size")
        return PUBLISHED[name](widths, depths, input_size)
    recipe = NETWORKS[name]
    chosen = {"widths": recipe.widths, "depths": recipe.depths, "blocks": recipe.blocks}
    for key, values in {"widths": widths, "depths": depths, "blocks": blocks}.items():
        if values is not None:
            if not isinstance(values, Sequence) or len(values) != len(recipe.widths):
                raise GenotypeError(f"wants a value for each of {len(recipe.widths)} stages, got {values!r}", key)
            chosen[key] = tuple(values)
    for key in ("widths", "depths"):
        for i, value in enumerate(chosen[key]):
            check_whole(value, f"{key}[{i}]")
    for i, block in enumerate(chosen["blocks"]):
        check_choice(block, tuple(BLOCKS), f"blocks[{i}]", optional=False)
    check_whole(input_size, "input_size")
    stem = stem or recipe.stem
    if recipe.downsample[0] == "none":  # the stem gives the first stage its width
        stem = Stem((*stem.convs[:-1], StemConv(**{**vars(stem.convs[-1]), "width": chosen["widths"][0]})))
    side = -(-input_size // stem.stride)
    stages = []
    for width, depth, block, kind in zip(*chosen.values(), recipe.downsample):
        side = -(-side // Downsample(kind).stride)
        make = _block(block, side)
        try:
            made = make(width)
        except GenotypeError as error:
            raise error.under(f"stages[{len(stages)}]") from None
        stages.append(Stage(width, (made,) * depth, Downsample(kind)))
    return Genotype(tuple(stages), stem, recipe.head, name=name)


def _block(name: str, side: int) -> Callable[[int], Block]:
    make = BLOCKS[name]
    return partial(make, bias_size=side) if "bias_size" in inspect.signature(make).parameters else make
