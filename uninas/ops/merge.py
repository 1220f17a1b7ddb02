"""Forks and merges: chunk, concat, add, multiply. (Copy needs no operation: a port may feed many consumers.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import GenotypeError
from .base import Op, Values, attribute
from .value import Value

if TYPE_CHECKING:
    from torch import nn


def _same(op: Op, inputs: Values) -> Value:
    """The one value that all inputs have, or an error."""
    for index, value in enumerate(inputs):
        if value != inputs[0]:
            raise GenotypeError(f"{op.name} wants equal inputs, got {inputs[0]} and {value}", f"inputs[{index}]")
    return inputs[0]


@dataclass(frozen=True)
class Chunk(Op):
    """Splits the channels into equal `parts`, one output port each."""

    name = "chunk"
    rearranges = True
    parts: int = attribute(2, minimum=2)

    @property
    def outputs(self) -> int:
        return self.parts

    def shape(self, inputs: Values) -> Values:
        (x,) = inputs
        if x.channels % self.parts:
            raise GenotypeError(f"{x.channels} channels cannot be split into {self.parts} equal parts", "parts")
        return (Value(x.channels // self.parts, x.grid),) * self.parts

    def build(self, inputs: Values) -> nn.Module:
        from .modules.merge import ChunkChannels

        return ChunkChannels(self.parts)


@dataclass(frozen=True)
class Concat(Op):
    """Joins the channels of its inputs, in order."""

    name = "concat"
    role = "merge"
    rearranges = True
    arity = None

    def shape(self, inputs: Values) -> Values:
        for index, value in enumerate(inputs):
            if value.grid != inputs[0].grid:
                message = f"concat wants one grid, got {inputs[0].grid.value} and {value.grid.value}"
                raise GenotypeError(message, f"inputs[{index}]")
        return (Value(sum(value.channels for value in inputs), inputs[0].grid),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.merge import ConcatChannels

        return ConcatChannels()


@dataclass(frozen=True)
class Add(Op):
    """The sum of two or more equal values; their order does not matter."""

    name = "add"
    label = "+"
    role = "merge"
    broadcasts = True
    arity = None

    @property
    def commutative(self) -> bool:
        return True

    def shape(self, inputs: Values) -> Values:
        return (_same(self, inputs),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.merge import Sum

        return Sum()


@dataclass(frozen=True)
class Subtract(Op):
    """a - b, of equal values."""

    name = "subtract"
    label = "−"
    role = "merge"
    broadcasts = True
    arity = 2

    def shape(self, inputs: Values) -> Values:
        return (_same(self, inputs),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.merge import Difference

        return Difference()


@dataclass(frozen=True)
class Multiply(Op):
    """gate=sigmoid: a * sigmoid(b), ordered, as in the paper. gate=none: the plain product, order does not matter."""

    name = "multiply"
    label = "×"
    role = "merge"
    broadcasts = True
    arity = None
    gate: str = attribute("sigmoid", choices=("sigmoid", "none"))

    @property
    def commutative(self) -> bool:
        return self.gate == "none"

    def shape(self, inputs: Values) -> Values:
        if self.gate == "sigmoid" and len(inputs) != 2:
            raise GenotypeError(f"multiply with a sigmoid gate takes 2 inputs, got {len(inputs)}", "inputs")
        return (_same(self, inputs),)

    def build(self, inputs: Values) -> nn.Module:
        from .modules.merge import Product, SigmoidGate

        return SigmoidGate() if self.gate == "sigmoid" else Product()
