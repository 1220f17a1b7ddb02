"""Forks and merges: chunk, concat, add, multiply. (Copy needs no operation: a port may feed many consumers.)"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import GenotypeError
from .base import Op, Values, attribute
from .value import Value


def _same(op: Op, inputs: Values) -> Value:
    """The one value that all inputs have, or an error."""
    for index, value in enumerate(inputs):
        if value != inputs[0]:
            raise GenotypeError(f"{op.name} wants equal inputs, got {inputs[0]} and {value}", f"inputs[{index}]")
    return inputs[0]


class ChunkChannels(nn.Module):
    """B x C x ... -> `parts` tensors of B x C/parts x ..."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.chunk(x, self.parts, dim=1)


class ConcatChannels(nn.Module):
    """Tensors side by side along the channels."""

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.cat(xs, dim=1)


class Sum(nn.Module):
    """The sum of all inputs."""

    def forward(self, first: Tensor, *rest: Tensor) -> Tensor:
        for x in rest:
            first = first + x
        return first


class Difference(nn.Module):
    """a - b."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b


class Product(nn.Module):
    """The product of all inputs."""

    def forward(self, first: Tensor, *rest: Tensor) -> Tensor:
        for x in rest:
            first = first * x
        return first


class SigmoidGate(nn.Module):
    """a * sigmoid(b)."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * torch.sigmoid(b)


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
        return ConcatChannels()


@dataclass(frozen=True)
class Add(Op):
    """The sum of two or more equal values; their order does not matter."""

    name = "add"
    role = "merge"
    arity = None

    @property
    def commutative(self) -> bool:
        return True

    def shape(self, inputs: Values) -> Values:
        return (_same(self, inputs),)

    def build(self, inputs: Values) -> nn.Module:
        return Sum()


@dataclass(frozen=True)
class Subtract(Op):
    """a - b, of equal values."""

    name = "subtract"
    role = "merge"
    arity = 2

    def shape(self, inputs: Values) -> Values:
        return (_same(self, inputs),)

    def build(self, inputs: Values) -> nn.Module:
        return Difference()


@dataclass(frozen=True)
class Multiply(Op):
    """gate=sigmoid: a * sigmoid(b), ordered, as in the paper. gate=none: the plain product, order does not matter."""

    name = "multiply"
    role = "merge"
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
        return SigmoidGate() if self.gate == "sigmoid" else Product()
