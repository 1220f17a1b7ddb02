"""Attention, taken apart: query-key affinities, what may be done to them, and their use as weights.

B batch, h heads, d channels of a head, N = H * W positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import GenotypeError
from .base import Op, Values, attribute
from .value import Grid, Size, Value

if TYPE_CHECKING:
    from torch import nn


def _heads_fit(op: str, channels: int, heads: int) -> None:
    if channels % heads:
        raise GenotypeError(f"{op}: {channels} channels cannot be split into {heads} heads", "heads")


@dataclass(frozen=True)
class Matmul1(Op):
    """Two feature maps -> their affinities on PAIR, one channel a head: x[:, p] . y[:, q] / sqrt(C / heads)."""

    name = "matmul1"
    label = "q·k"
    role = "matmul"
    arity = 2
    heads: int = attribute(1, minimum=1)

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL,)

    def shape(self, inputs: Values) -> Values:
        x, y = inputs
        if x != y:
            raise GenotypeError(f"{self.name} wants equal inputs, got {x} and {y}", "inputs[1]")
        _heads_fit(self.name, x.channels, self.heads)
        return (Value(self.heads, Grid.PAIR),)

    def macs(self, inputs: Values, size: Size) -> int:
        return inputs[0].channels * inputs[0].positions(size) ** 2

    def build(self, inputs: Values) -> nn.Module:
        from .modules.attention import Affinity

        return Affinity(self.heads)


@dataclass(frozen=True)
class Matmul2(Op):
    """Affinities (PAIR, one channel a head) and a feature map -> the feature map mixed over positions."""

    name = "matmul2"
    label = "a·v"
    role = "matmul"
    arity = 2
    heads: int = attribute(1, minimum=1)

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.PAIR,)

    def shape(self, inputs: Values) -> Values:
        a, y = inputs
        self.check(a, y, Grid.FULL)
        return (y,)

    def check(self, a: Value, y: Value, grid: Grid) -> None:
        """Raises GenotypeError unless the affinities fit the heads, and the mixed values the heads and the grid."""
        if a.channels != self.heads:
            raise GenotypeError(f"{self.name} has heads={self.heads} but its first input has {a.channels}", "heads")
        if y.grid is not grid:
            raise GenotypeError(f"{self.name} mixes a feature map on the {grid.value} grid, got {y}", "inputs[1]")
        _heads_fit(self.name, y.channels, self.heads)

    def macs(self, inputs: Values, size: Size) -> int:
        return inputs[1].channels * inputs[1].positions(size) ** 2

    def build(self, inputs: Values) -> nn.Module:
        from .modules.attention import WeightedSum

        return WeightedSum(self.heads)


@dataclass(frozen=True)
class RelPosBias(Op):
    """Adds a learnt bias for each offset; `size` is the side of the square grid whose offsets the table holds."""

    name = "rel_pos_bias"
    label = "rel. position"
    role = "bias"
    repeatable = False
    needs_reference = True
    undecayed = ("table",)
    side = "size"
    size: int = attribute(14, minimum=1)

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.PAIR,)

    def addend(self, inputs: Values) -> Value:
        return inputs[0]

    def parameters(self, inputs: Values) -> int:
        return inputs[0].channels * (2 * self.size - 1) ** 2

    def build(self, inputs: Values) -> nn.Module:
        from .modules.attention import RelativePositionBias

        return RelativePositionBias(inputs[0].channels, self.size)


@dataclass(frozen=True)
class Mask(Op):
    """Keeps |i - j| <= band on the last two axes. fill=zero sets the rest to 0 (the paper's); fill=exclude takes them
    out of a following softmax (PAIR only)."""

    name = "mask"
    role = "mask"
    repeatable = False
    needs_reference = True
    band: int = attribute(5, minimum=0)
    fill: str = attribute("zero", choices=("zero", "exclude"))

    @property
    def grids(self) -> tuple[Grid, ...]:
        return (Grid.FULL, Grid.PAIR) if self.fill == "zero" else (Grid.PAIR,)

    def addend(self, inputs: Values) -> Value | None:
        return Value(1, Grid.PAIR) if self.fill == "exclude" else None

    def build(self, inputs: Values) -> nn.Module:
        from .modules.attention import BandMask

        return BandMask(self.band, additive=self.fill == "exclude")
