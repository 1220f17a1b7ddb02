"""What moves may write around the graphs: stem, downsampling, head, and the frame of a sub-block."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ...errors import nearest
from ...genotype.downsample import DOWNSAMPLING, Downsample
from ...ops.layers import ACTIVATIONS, NORMS

HALVING = tuple(kind for kind in DOWNSAMPLING if Downsample(kind).stride == 2)
"""Kinds of downsampling that halve the grid."""


def _one_of(names: Collection[str]) -> Any:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"there is no {value!r}; {nearest(value, names)}")
        return value

    return AfterValidator(check)


NormName = Annotated[str, _one_of(NORMS)]
ActivationName = Annotated[str, _one_of(ACTIVATIONS)]
HalvingName = Annotated[str, _one_of(HALVING)]
Channels = Annotated[int, Field(ge=1)]


class HeadChoices(BaseModel):
    """Parts of the head that moves choose from; an empty list leaves a part as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    norms: tuple[NormName | None, ...] = ()
    activations: tuple[ActivationName | None, ...] = ()
    pool_first: tuple[bool, ...] = ()
    """Whether the average comes before the norm and the activation."""


class FrameChoices(BaseModel):
    """The `frame` of a space file. An empty list leaves a part of the network as the start has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stem_widths: tuple[Channels, ...] = ()
    """Channels that the stem gives to the first stage."""
    downsample: tuple[HalvingName, ...] = ()
    """Ways to halve the grid where a stage begins. Stages that keep their grid are left alone."""
    head: HeadChoices = Field(default_factory=HeadChoices)
    norms: tuple[NormName | None, ...] = ()
    """Before the graph of a sub-block; null, for none, is chosen only where the graph has a norm of its own."""
    activations: tuple[ActivationName | None, ...] = ()
    """Behind a sub-block; null for none."""
