"""The genotype: a whole network as immutable data. Stem, stages of blocks of sub-blocks, head.

A sub-block is `activation(shortcut(x) + graph(norm(x)))`, where the norm, the residual and the activation are optional;
a block is a sequence of sub-blocks. The first sub-block of a stage also changes resolution and width (`Downsample`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import GenotypeError
from ..ops.layers import ACTIVATIONS, NORMS, Layer, activation_layer, norm_layer
from .downsample import Downsample
from .frame import Head, Stem, check_bool, check_choice, check_whole, placed, plain
from .graph import BlockGraph

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character: no file can hold it."""


@dataclass(frozen=True, eq=False)
class SubBlock:
    """A graph in its frame: optional pre-norm, optional residual around it, optional activation behind."""

    graph: BlockGraph
    norm: str | None = "layer"
    residual: bool = True
    activation: str | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "graph", BlockGraph.from_networkx(self.graph))
        except GenotypeError as error:
            raise error.under("graph") from None
        check_choice(self.norm, tuple(NORMS), "norm")
        check_choice(self.activation, ACTIVATIONS, "activation")
        check_bool(self.residual, "residual")

    def frame(self, before: int, width: int) -> list[Layer]:
        """The norm (over the `before` channels that come in) and the activation (over `width`), where there are any."""
        found: list[Layer] = []
        if self.norm:
            found.append(norm_layer(self.norm, before))
        if self.activation:
            found.append(activation_layer(self.activation, width))
        return found

    @property
    def signature(self) -> list[Any]:
        """What decides equality, as JSON data."""
        return [self.graph.key, self.norm, self.residual, self.activation]


@dataclass(frozen=True, eq=False)
class Block:
    """Sub-blocks in sequence."""

    subblocks: tuple[SubBlock, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subblocks", tuple(self.subblocks))
        if not self.subblocks:
            raise GenotypeError("a block needs at least one sub-block", "subblocks")


@dataclass(frozen=True, eq=False)
class Stage:
    """Blocks of one width, `downsample`d at their start."""

    width: int
    blocks: tuple[Block, ...]
    downsample: Downsample = Downsample()

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))
        check_whole(self.width, "width")
        if not self.blocks:
            raise GenotypeError("a stage needs at least one block", "blocks")

    @property
    def subblocks(self) -> Iterator[tuple[int, int, SubBlock]]:
        """(block index, sub-block index, sub-block) in order."""
        return ((j, k, sub) for j, block in enumerate(self.blocks) for k, sub in enumerate(block.subblocks))


@dataclass(frozen=True, eq=False)
class Genotype:
    """A network. Immutable, valid by construction, hashable; equal when the `key` is equal.

    Raises:
        GenotypeError: with the path of what is wrong, as `stages[2].blocks[0].subblocks[0].graph.nodes[5]`.
    """

    stages: tuple[Stage, ...]
    stem: Stem = field(default_factory=Stem)
    head: Head = field(default_factory=Head)
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if self.name is not None and (not isinstance(self.name, str) or _SURROGATE.search(self.name)):
            raise GenotypeError(f"wants text, got {self.name!r}", "name")
        if not self.stages:
            raise GenotypeError("a network needs at least one stage", "stages")
        before = self.stem.width
        for i, stage in enumerate(self.stages):
            if stage.downsample.kind == "none" and before != stage.width:
                message = f"without downsampling the width stays {before}, got {stage.width}; use kind 'project'"
                raise GenotypeError(message, f"stages[{i}].downsample.kind")
            with placed(f"stages[{i}].downsample.kind"):
                stage.downsample.main(before, stage.width)
                stage.downsample.shortcut(before, stage.width)
            for j, k, subblock in stage.subblocks:
                path = f"stages[{i}].blocks[{j}].subblocks[{k}]"
                inside = stage.downsample.inside and j == k == 0  # downsampling behind the norm
                with placed(f"{path}.norm"):
                    subblock.frame(before if inside else stage.width, stage.width)
                try:
                    subblock.graph.infer(stage.width)
                except GenotypeError as error:
                    raise error.under(f"{path}.graph") from None
            before = stage.width
        with placed("head.norm"):
            self.head.layers(before, num_classes=0)

    @cached_property
    def key(self) -> str:
        """Canonical hash, a hex string: equal for genotypes that differ only in names and in the order in which graphs
        were written."""
        stages = [
            [stage.width, stage.downsample.signature, [[sub.signature for sub in b.subblocks] for b in stage.blocks]]
            for stage in self.stages
        ]
        text = json.dumps([plain(self.stem), stages, plain(self.head)], separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Genotype) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        depths = ", ".join(f"{len(stage.blocks)} x {stage.width}" for stage in self.stages)
        return f"Genotype({self.name or self.key[:12]}: {depths})"

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each stage's output against the image."""
        stride, found = self.stem.stride, []
        for stage in self.stages:
            stride *= stage.downsample.stride
            found.append(stride)
        return tuple(found)

    @property
    def subblocks(self) -> Iterator[tuple[tuple[int, int, int], SubBlock]]:
        """((stage, block, sub-block) indices, sub-block) in order."""
        return (((i, j, k), sub) for i, stage in enumerate(self.stages) for j, k, sub in stage.subblocks)

    def with_graph(self, where: tuple[int, int, int], graph: BlockGraph) -> Genotype:
        """The same network with another graph in one place; everything else is shared."""
        i, j, k = where
        stage = self.stages[i]
        block = stage.blocks[j]
        subblocks = (*block.subblocks[:k], replace(block.subblocks[k], graph=graph), *block.subblocks[k + 1 :])
        blocks = (*stage.blocks[:j], Block(subblocks), *stage.blocks[j + 1 :])
        return self.with_stage(i, replace(stage, blocks=blocks))

    def with_stage(self, index: int, stage: Stage) -> Genotype:
        """The same network with another stage in one place."""
        stages = (*self.stages[:index], stage, *self.stages[index + 1 :])
        return Genotype(stages, self.stem, self.head)

    def map_graphs(self, change: Callable[[BlockGraph], BlockGraph]) -> Genotype:
        """The same network with every graph changed."""
        genotype = self
        for where, sub in self.subblocks:
            genotype = genotype.with_graph(where, change(sub.graph))
        return replace(genotype, name=self.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data in the layout of the file."""
        from .file import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Genotype:
        """A genotype from plain data in the layout of the file.

        Raises:
            GenotypeError: with the path of what is wrong.
        """
        from .file import from_dict

        return from_dict(data)

    def save(self, path: str | Path) -> None:
        """Writes YAML (JSON when the name ends in .json), through a temporary name, and reads it back to compare."""
        from .file import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Genotype:
        """Reads a YAML or JSON file.

        Raises:
            GenotypeError: the file cannot be read or is not valid; the message starts with the file's name.
        """
        from .file import load

        return load(path)
