"""Normalisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import GenotypeError
from .base import Op, Values, attribute
from .value import Grid

if TYPE_CHECKING:
    from torch import nn


class _Norm(Op):
    """What all norms share: behind another norm, whichever it is, one adds nothing."""

    role = "norm"
    repeatable = False

    def redundant_behind(self, producer: Op) -> bool:
        return producer.role == "norm"


@dataclass(frozen=True)
class BatchNorm(_Norm):
    """Batch normalisation. Not on POINT: a batch of one image would leave a single value to take statistics of."""

    name = "batch_norm"
    label = "BN"

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL, Grid.PAIR)

    def parameters(self, inputs: Values) -> int:
        return 2 * inputs[0].channels

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.BatchNorm2d(inputs[0].channels)


class _ChannelNorm(_Norm):
    """What the norms over channels share: FULL and POINT only, and more than one channel to normalise over."""

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL, Grid.POINT)

    def shape(self, inputs: Values) -> Values:
        if inputs[0].channels < 2:
            raise GenotypeError(f"{self.name} over a single channel is a constant; it needs at least 2 channels")
        return inputs


@dataclass(frozen=True)
class LayerNorm(_ChannelNorm):
    """Layer normalisation over channels, eps 1e-6."""

    name = "layer_norm"
    label = "LN"

    def parameters(self, inputs: Values) -> int:
        return 2 * inputs[0].channels

    def build(self, inputs: Values) -> nn.Module:
        from .modules.norm import LayerNorm2d

        return LayerNorm2d(inputs[0].channels)


@dataclass(frozen=True)
class RMSNorm(_ChannelNorm):
    """Root-mean-square normalisation over channels, eps 1e-6, no shift."""

    name = "rms_norm"
    label = "RMS norm"

    def parameters(self, inputs: Values) -> int:
        return inputs[0].channels

    def build(self, inputs: Values) -> nn.Module:
        from .modules.norm import RMSNorm2d

        return RMSNorm2d(inputs[0].channels)


@dataclass(frozen=True)
class GroupNorm(_ChannelNorm):
    """Group normalisation over channels and positions."""

    name = "group_norm"
    label = "GN"
    groups: int = attribute(8, minimum=1)

    def shape(self, inputs: Values) -> Values:
        (x,) = inputs
        if x.channels % self.groups or x.channels == self.groups:
            message = f"{x.channels} channels cannot be split into {self.groups} groups of two or more"
            raise GenotypeError(message, "groups")
        return inputs

    def parameters(self, inputs: Values) -> int:
        return 2 * inputs[0].channels

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.GroupNorm(self.groups, inputs[0].channels, eps=1e-6)
