"""Shape rules of the calls that passes write: what stands in a graph for several operations, or for a part of one.

Every fx node that calls a module carries such a rule, or the operation itself, as `meta["op"]`: whoever reads the graph
can infer the value at every node.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import GenotypeError
from ...ops import Grid, Op, Value

Values = tuple[Value, ...]


class Call:
    """A rule of a call that a pass wrote, for a pass to derive its own from."""

    @property
    def needs_reference(self) -> bool:
        """Whether the last argument is the block's input, which only tells the size."""
        return False

    @property
    def broadcasts(self) -> bool:
        """Whether inputs behind the first may be on POINT where that is on another grid."""
        return False

    def infer(self, inputs: Values) -> Values:
        """Output values; raises GenotypeError where the inputs do not fit."""
        raise NotImplementedError


Rule = Op | Call
"""What the values of a call follow from."""


def _only(inputs: Values) -> Value:
    if len(inputs) != 1:
        raise GenotypeError(f"expected one input, got {len(inputs)}")
    return inputs[0]


@dataclass(frozen=True)
class Attention(Call):
    """Queries, keys, values and maybe a bias -> what attention makes of the values."""

    heads: int

    def infer(self, inputs: Values) -> Values:
        if len(inputs) not in (3, 4):
            raise GenotypeError(f"attention takes queries, keys, values and maybe a bias, got {len(inputs)} inputs")
        queries, keys, values, *biases = inputs
        if queries != keys or queries.grid is not values.grid:
            raise GenotypeError(f"attention between {queries}, {keys} and {values}")
        if any(bias.channels not in (1, self.heads) or bias.grid is not Grid.PAIR for bias in biases):
            raise GenotypeError(f"attention of {self.heads} heads with a bias of {biases[0]}")
        return (values,)


@dataclass(frozen=True)
class Addend(Call):
    """What an additive operation adds, alone or on top of another addend."""

    op: Op
    value: Value
    """Of what it adds; one channel serves all heads."""

    @property
    def needs_reference(self) -> bool:
        return self.op.needs_reference

    def infer(self, inputs: Values) -> Values:
        return (max((self.value, *inputs), key=lambda value: value.channels),)


@dataclass(frozen=True)
class SideBySide(Call):
    """Equal operations, each on its part of the channels."""

    op: Op
    count: int

    def infer(self, inputs: Values) -> Values:
        whole = _only(inputs)
        if whole.channels % self.count:
            raise GenotypeError(f"{whole.channels} channels cannot be split among {self.count} operations")
        (out,) = self.op.infer((Value(whole.channels // self.count, whole.grid),))
        return (Value(out.channels * self.count, out.grid),)


@dataclass(frozen=True)
class OfOneInput(Call):
    """Equal operations of one input, their outputs side by side."""

    op: Op
    count: int

    def infer(self, inputs: Values) -> Values:
        (out,) = self.op.infer((_only(inputs),))
        return (Value(out.channels * self.count, out.grid),)
