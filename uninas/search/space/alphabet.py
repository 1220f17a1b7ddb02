"""The operations that moves may write into a graph, and the attribute values that they choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from random import Random
from typing import Any

from ...errors import GenotypeError
from ...ops import REGISTRY, Op, Value, make

Choices = dict[str, dict[str, list[Any]]]
"""Operation -> attribute -> values, as written in a space file; attributes that are not named keep their default."""

Beside = tuple["Op | None", "Op | None"]
"""The operations at the two ends of an edge: producer and consumer; None for whatever is outside of the graph."""


class Alphabet:
    """What a space admits at one place of a network.

    Args:
        choices: of the space.
        side: positions along a side of the stage's grid at the design size; what a relative position bias covers.
        attention: whether query-key grids may be added.
    """

    def __init__(self, choices: Choices, side: int, attention: bool) -> None:
        self.choices = choices
        self.side = side
        self.attention = attention

    def __contains__(self, name: str) -> bool:
        return name in self.choices

    def has(self, *names: str) -> bool:
        """Whether all operations are admitted."""
        return all(name in self.choices for name in names)

    def draw(self, name: str, rng: Random, **fixed: Any) -> Op:
        """The operation with random admitted attributes; `fixed` ones are taken as they are.

        Raises:
            GenotypeError: an attribute does not exist or has no such value.
        """
        attributes = {key: rng.choice(values) for key, values in self.choices[name].items() if key not in fixed}
        attributes.pop("ratio", None)  # widths change where a move says so
        side = REGISTRY[name].side
        if side is not None:
            fixed.setdefault(side, self.side)
        return make(name, {**attributes, **fixed})

    def ratios(self) -> list[Any]:
        """The width ratios that expansions and reductions choose from."""
        return self.choices.get("conv", {}).get("ratio", [])

    def keeping(self, value: Value, rng: Random, beside: Beside = (None, None)) -> Op | None:
        """A random operation with one input that gives back a value of the same shape, or None.

        Args:
            beside: an operation that would add nothing between these two is passed over.
        """
        return next(self.candidates((value,), (value,), rng, beside), None)

    def candidates(
        self, inputs: Sequence[Value], outputs: Sequence[Value], rng: Random, beside: Beside = (None, None)
    ) -> Iterator[Op]:
        """Admitted operations that turn `inputs` into `outputs`, in random order, each with random attributes."""
        producer, consumer = beside
        names = sorted(self.choices)
        rng.shuffle(names)
        for name in names:
            op = self.draw(name, rng)
            if producer is not None and op.redundant_behind(producer):
                continue
            if consumer is not None and consumer.arity == 1 and consumer.redundant_behind(op):
                continue
            if turns(op, inputs, outputs):
                yield op

    def variants(self, op: Op) -> list[tuple[str, Any]]:
        """(attribute, other value) for all values that the space offers for an operation's attributes, but ratios."""
        offered: Mapping[str, list[Any]] = self.choices.get(op.name, {})
        return [
            (spec.name, value)
            for spec in fields(op)
            for value in offered.get(spec.name, ())
            if spec.name != "ratio" and value != getattr(op, spec.name)
        ]


def turns(op: Op, inputs: Sequence[Value], outputs: Sequence[Value]) -> bool:
    """Whether `op` is defined on `inputs` and gives `outputs`."""
    if op.arity not in (len(inputs), None) or op.outputs != len(outputs) or inputs[0].grid not in op.grids:
        return False
    try:
        return op.infer(tuple(inputs)) == tuple(outputs)
    except GenotypeError:
        return False
