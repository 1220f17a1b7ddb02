"""Activations: elementwise on every grid, and softmax along the last axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Op, Values
from .value import Grid

if TYPE_CHECKING:
    from torch import nn


class _Activation(Op):
    """What treats every channel alike."""

    role = "activation"
    channelwise = True
    repeatable = False


class _Elementwise(_Activation):
    """What treats every entry alike."""

    elementwise = True


class _Gate(_Elementwise):
    """ReLU and its kin."""

    is_gate = True


@dataclass(frozen=True)
class GELU(_Gate):
    """x * Phi(x), the exact form."""

    name = "gelu"
    label = "GELU"

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.GELU()


@dataclass(frozen=True)
class ReLU(_Gate):
    """max(x, 0)."""

    name = "relu"
    label = "ReLU"
    nonnegative = True

    def redundant_behind(self, producer: Op) -> bool:
        return producer.nonnegative

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.ReLU()


@dataclass(frozen=True)
class ReLU6(_Gate):
    """min(max(x, 0), 6)."""

    name = "relu6"
    label = "ReLU6"
    nonnegative = True

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.ReLU6()


@dataclass(frozen=True)
class SiLU(_Gate):
    """x * sigmoid(x)."""

    name = "silu"
    label = "SiLU"

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.SiLU()


@dataclass(frozen=True)
class Hardswish(_Gate):
    """x * relu6(x + 3) / 6."""

    name = "hardswish"

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.Hardswish()


@dataclass(frozen=True)
class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x))."""

    name = "sigmoid"
    nonnegative = True

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.Sigmoid()


@dataclass(frozen=True)
class Softmax(_Activation):
    """Softmax along the last axis: image columns on FULL, keys on PAIR. On POINT it would be the constant 1."""

    name = "softmax"
    nonnegative = True

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL, Grid.PAIR)

    def build(self, inputs: Values) -> nn.Module:
        from torch import nn

        return nn.Softmax(dim=-1)
