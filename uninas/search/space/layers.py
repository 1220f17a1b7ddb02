"""Stages of inverted residuals as in MobileNetV2: widths, depths, and each layer's expansion and kernel are chosen.

A network is written stage by stage, its width and then its layers:

    16: e1k3 | 24: e6k3 e6k5 | 32: e4k3 e4k3 e4k3

`e6k5` expands six times and convolves 5 x 5. What the file of such a space says is in `spaces/mobilenet_v2.yaml`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ... import resources
from ...blocks import inverted_residual
from ...errors import GenotypeError, SpaceError, nearest
from ...genotype import Block, Downsample, Genotype, Stage
from ...genotype.downsample import DOWNSAMPLING
from .choices import PLAIN_DRAWS, Choice, ChoiceFile, ChoiceSpace, Chosen

NO_LAYER = "-"
"""The option of a layer that is not there."""

_STAGE = re.compile(r"(\d+):((?: e\d+k\d+)+)")

Positive = Annotated[int, Field(ge=1)]


class LayerStage(BaseModel):
    """One stage of the skeleton."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    widths: tuple[Positive, ...] = Field(min_length=1)
    """Channels to choose from."""
    depth: tuple[Positive, Positive]
    """Least and most layers."""
    downsample: str = "pool"
    """How the stage starts: `pool` halves the resolution, `project` keeps it."""

    @model_validator(mode="after")
    def _check(self) -> LayerStage:
        if len(set(self.widths)) < len(self.widths):
            raise ValueError(f"widths: one is written twice in {list(self.widths)}")
        if self.depth[0] > self.depth[1]:
            raise ValueError(f"depth: the least comes first, got {list(self.depth)}")
        if self.downsample not in DOWNSAMPLING or self.downsample == "none":  # "none" could not change the width
            known = [kind for kind in DOWNSAMPLING if kind != "none"]
            raise ValueError(f"downsample: there is no {self.downsample!r}; {nearest(self.downsample, known)}")
        return self


class LayerFile(ChoiceFile):
    """The file of a space of layers."""

    kind: Literal["layers"]
    stem: dict[str, Any]
    """As in a genotype's file."""
    head: dict[str, Any] = Field(default_factory=dict)
    """As in a genotype's file."""
    stages: tuple[LayerStage, ...] = Field(min_length=1)
    expansions: tuple[Literal[1, 2, 3, 4, 6], ...] = Field((1, 2, 4, 6), min_length=1)
    """Channels inside of a layer against the stage's width."""
    kernels: tuple[Literal[3, 5, 7], ...] = Field((3, 5, 7), min_length=1)
    """Of the depthwise convolution."""
    max_layers: int | None = Field(None, ge=1)
    """Of the network; null for no bound."""

    @model_validator(mode="after")
    def _check(self) -> LayerFile:
        self.skeleton()
        for name in ("expansions", "kernels"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name}: one is written twice in {list(getattr(self, name))}")
        least = sum(stage.depth[0] for stage in self.stages)
        if self.max_layers is not None and least > self.max_layers:
            raise ValueError(f"max_layers: the stages have at least {least} layers, more than {self.max_layers}")
        return self

    def skeleton(self) -> Genotype:
        """The narrowest network with one layer in each stage. Raises ValueError."""
        graph = _layer(1, self.kernels[0], False).subblocks[0].graph
        stages = [
            {
                "width": stage.widths[0],
                "downsample": {"kind": stage.downsample},
                "blocks": [{"subblocks": [{"norm": None, "residual": False, "graph": "layer"}]}],
            }
            for stage in self.stages
        ]
        frame = {"schema_version": 1, "stem": self.stem, "head": self.head, "stages": stages}
        try:
            return Genotype.from_dict({**frame, "graphs": {"layer": graph}})
        except GenotypeError as error:
            raise ValueError(str(error)) from None


class LayerSpace(ChoiceSpace):
    """A space of stages of inverted residuals. A genotype's name is written as at the top of this file."""

    specification: LayerFile

    def __init__(self, specification: LayerFile) -> None:
        skeleton = specification.skeleton()
        self.stem, self.head = skeleton.stem, skeleton.head
        kinds = tuple(f"e{e}k{k}" for e in specification.expansions for k in specification.kernels)
        half = (float(len(kinds)), *(1.0 for _ in kinds))  # a layer that may be missing is missing half of the time
        choices = []
        for i, stage in enumerate(specification.stages):
            choices.append(Choice(f"stages[{i}].width", tuple(str(width) for width in stage.widths), "change_width"))
            for j in range(stage.depth[1]):
                optional = j >= stage.depth[0]
                options, weights = ((NO_LAYER, *kinds), half) if optional else (kinds, None)
                choices.append(Choice(f"stages[{i}].layers[{j}]", options, "change_layer", weights))
        self.choices = tuple(choices)
        super().__init__(specification)

    @classmethod
    def from_dict(cls, data: object) -> LayerSpace:
        """A space from plain data in the layout of the file. Raises SpaceError, with the path of the key."""
        return cls(resources.parse(data, LayerFile, SpaceError))

    def parse(self, text: str) -> Chosen:
        example = "16: e1k3 | 24: e6k3 e6k5"
        written = text.split(" | ")
        stages = self.specification.stages
        if len(written) != len(stages):
            raise SpaceError(f"{text!r} has {len(written)} stages, not {len(stages)}; stages are written {example}")
        options: list[str] = []
        for i, (part, stage) in enumerate(zip(written, stages)):
            found = _STAGE.fullmatch(part)
            if not found:
                raise SpaceError(f"stage {i + 1} of {text!r} is not written as in {example}: {part!r}")
            layers = found[2].split()
            low, high = stage.depth
            if not low <= len(layers) <= high:
                raise SpaceError(f"stage {i + 1} of {text!r} has {len(layers)} layers, not {low} to {high}")
            options += [found[1], *layers, *[NO_LAYER] * (high - len(layers))]
        chosen = self.checked(options, text)
        self._check_layers(chosen)
        return chosen

    def decode(self, chosen: Chosen) -> Genotype:
        """The network of these widths and layers. Raises SpaceError where it has more than `max_layers`."""
        self._check_layers(chosen)
        stages, names = [], []
        for stage, (width, layers) in zip(self.specification.stages, self.stages(chosen)):
            blocks = (_named_layer(layer, residual=j > 0) for j, layer in enumerate(layers))
            stages.append(Stage(int(width), tuple(blocks), Downsample(stage.downsample)))
            names.append(f"{width}: {' '.join(layers)}")
        name = " | ".join(names)
        try:
            return Genotype(tuple(stages), self.stem, self.head, name=name)
        except GenotypeError as error:
            raise SpaceError(f"{name!r} is no network: {error}") from None

    def draw(self, rng: Random) -> Chosen:
        """As for any space; where draw after draw has too many layers, random ones of the last are left out."""
        most = self.specification.max_layers or len(self.choices)
        chosen: Chosen = ()
        surplus = 0
        for _ in range(PLAIN_DRAWS):
            chosen = super().draw(rng)
            surplus = self.count_layers(chosen) - most
            if surplus <= 0:
                return chosen
        spare = [i for i, option in enumerate(chosen) if NO_LAYER in self.choices[i].options and option != NO_LAYER]
        dropped = set(rng.sample(spare, surplus))
        return tuple(NO_LAYER if i in dropped else option for i, option in enumerate(chosen))

    def stages(self, chosen: Chosen) -> list[tuple[str, list[str]]]:
        """(width, layers that are there) of each stage."""
        options = iter(chosen)
        found = []
        for stage in self.specification.stages:
            width = next(options)
            layers = [next(options) for _ in range(stage.depth[1])]
            found.append((width, [layer for layer in layers if layer != NO_LAYER]))
        return found

    def count_layers(self, chosen: Chosen) -> int:
        """Layers that are there, in all stages."""
        return sum(len(layers) for _, layers in self.stages(chosen))

    def _check_layers(self, chosen: Chosen) -> None:
        most = self.specification.max_layers
        count = self.count_layers(chosen)
        if most is not None and count > most:
            raise SpaceError(f"{count} layers are more than max_layers = {most} of space {self.name!r}")


def _named_layer(name: str, residual: bool) -> Block:
    expansion, kernel = name[1:].split("k")
    return _layer(int(expansion), int(kernel), residual)


@lru_cache(maxsize=256)
def _layer(expansion: int, kernel: int, residual: bool) -> Block:
    """An inverted residual; the same object each time, so that its graph keeps its costs."""
    return inverted_residual(1, expansion, kernel, residual)
