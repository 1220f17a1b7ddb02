"""The contract of an elementary operation: one frozen dataclass declares everything about it.

    @dataclass(frozen=True)
    class Conv(Op):
        name = "conv"                                  # what files and graphs call it
        kernel: int = attribute(1, choices=(1, 3, 5, 7))  # its attributes, with their valid values
        def shape(self, inputs): ...                   # output values from input values
        def parameters(self, inputs): ...              # trainable scalars
        def macs(self, inputs, size): ...              # multiply-adds of one image
        def build(self, inputs): ...                   # the torch module; imports torch when it is called

What else an operation is - a norm, a gate, elementwise - it says by attributes of its class: passes, proxies and moves
ask for those. Defining the class registers it; nothing else in the package has to change.

torch is never imported at the top of a file of operations: to count, check, edit and draw networks nothing is built.
What torch has no module for is in `modules/`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import GenotypeError, nearest
from .value import Grid, Size, Value

if TYPE_CHECKING:
    from torch import nn

REGISTRY: dict[str, type[Op]] = {}
ALL_GRIDS = (Grid.FULL, Grid.POINT, Grid.PAIR)
Values = tuple[Value, ...]
Role = Literal["conv", "norm", "activation", "pool", "scale", "dropout", "mask", "bias", "merge", "matmul"]
_RATIO = re.compile(r"\d{1,9}([./]\d{1,9})?")


def attribute(
    default: Any,
    *,
    choices: Sequence[Any] | None = None,
    minimum: float | None = None,
    below: float | None = None,
) -> Any:
    """A dataclass field that `Op` checks: its value is one of `choices`, or a number >= `minimum` and < `below`."""
    return field(default=default, metadata={"choices": choices, "minimum": minimum, "below": below})


@dataclass(frozen=True)
class Op:
    """An elementary operation. Instances are immutable, hashable and comparable by attributes."""

    name: ClassVar[str] = ""
    arity: ClassVar[int | None] = 1
    """Number of inputs; None stands for two or more."""
    needs_reference: ClassVar[bool] = False
    """Whether the module takes the block's input as a last argument, to learn the actual H x W."""
    channelwise: ClassVar[bool] = False
    """Whether the module is the same function of every channel, so that parallel copies are one call."""
    elementwise: ClassVar[bool] = False
    """Whether the module is one function of every entry, so that it may run before entries are repeated."""
    is_gate: ClassVar[bool] = False
    """Whether it lets positive entries through and holds negative ones back, as ReLU and its smooth kin do."""
    broadcasts: ClassVar[bool] = False
    """Whether the module takes B x C x 1 x 1 for any input but the first, as if it were repeated everywhere."""
    undecayed: ClassVar[tuple[str, ...]] = ()
    """Parameters of the module that weight decay should leave alone, beside those with one dimension."""
    role: ClassVar[Role | None] = None
    """What kind of operation it is, for whoever edits or reads graphs; None for those that only move data around."""
    repeatable: ClassVar[bool] = True
    """Whether a second one right behind the first adds something: a convolution does, an activation does not."""
    nonnegative: ClassVar[bool] = False
    """Whether no output is ever below 0."""
    side: ClassVar[str | None] = None
    """The attribute that is the side of the grid that it is made for: where it stands in a network decides."""
    label: ClassVar[str] = ""
    """What drawings write, where the field has an abbreviation; otherwise its name."""
    converted: ClassVar[bool] = False
    """Whether only networks that were converted have it: frames do not offer it."""
    constant: ClassVar[bool] = False
    """Whether the output is the same whatever the input is."""
    rearranges: ClassVar[bool] = False
    """Whether every output entry is an input entry: what adds nothing to the input adds nothing to the output."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.name in REGISTRY:
            raise TypeError(f"operation name {cls.name!r} is taken by {REGISTRY[cls.name].__qualname__}")
        for attribute_name in cls.__annotations__:
            if hasattr(Op, attribute_name):
                raise TypeError(f"{cls.__qualname__}: {attribute_name!r} is what every operation says of itself")
        if cls.name:
            REGISTRY[cls.name] = cls

    def __post_init__(self) -> None:
        for spec in fields(self):
            object.__setattr__(self, spec.name, _checked(self.name, spec, getattr(self, spec.name)))

    @property
    def commutative(self) -> bool:
        """Whether the inputs have no order."""
        return False

    @property
    def outputs(self) -> int:
        """Number of output ports."""
        return 1

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Grids on which the (first) input may live."""
        return ALL_GRIDS

    def redundant_behind(self, producer: Op) -> bool:
        """Whether it adds nothing right behind `producer`: it gives back what it takes, or one of the two would do."""
        return not self.repeatable and self.name == producer.name

    def addend(self, inputs: Values) -> Value | None:
        """The value of what it adds, where it adds to its input something that the input does not change: called with
        None in its place, the module returns that alone. Channels are those of the input, or 1 for all alike. None for
        an operation that does anything else."""
        return None

    def infer(self, inputs: Values) -> Values:
        """Output values for `inputs`, one for each output port.

        Raises:
            GenotypeError: wrong number of inputs, a grid on which the operation is not defined, or channels that do
                not fit an attribute.
        """
        if self.arity is None:
            if len(inputs) < 2:
                raise GenotypeError(f"{self.name} takes two or more inputs, got {len(inputs)}", "inputs")
        elif len(inputs) != self.arity:
            raise GenotypeError(f"{self.name} takes {self.arity} input(s), got {len(inputs)}", "inputs")
        if inputs[0].grid not in self.grids:
            valid = ", ".join(grid.value for grid in self.grids)
            raise GenotypeError(f"{self.name} is not defined on the {inputs[0].grid.value} grid, only on: {valid}")
        return self.shape(inputs)

    def shape(self, inputs: Values) -> Values:
        """The shape rule behind `infer`, for inputs whose number and grid are right; by default nothing changes."""
        return inputs[:1]

    def parameters(self, inputs: Values) -> int:
        """Number of trainable scalars."""
        return 0

    def macs(self, inputs: Values, size: Size) -> int:
        """Multiply-adds for one image whose FULL grid is `size`; elementwise work counts as none."""
        return 0

    def build(self, inputs: Values) -> nn.Module:
        """A module that maps tensors of shape B x channels x grid, one for each input, to the output(s)."""
        raise TypeError(f"{type(self).__name__} does not define build")

    def module(self, inputs: Values) -> nn.Module:
        """What `build` gives, which knows what it stands for: `operation_of` finds this operation again."""
        module = self.build(inputs)
        module.operation = self  # type: ignore[assignment]
        return module

    def batched(self) -> nn.Module | None:
        """For operations with parameters: a module J with J(concat(x_1 .. x_n), m_1, ..., m_n) = concat(m_1(x_1), ...)
        for modules m_i that this operation built, or None when parallel copies cannot be batched."""
        return None

    def attributes(self) -> dict[str, Any]:
        """All attributes by name."""
        return {spec.name: getattr(self, spec.name) for spec in fields(self)}

    @cached_property
    def _text(self) -> str:
        inner = ", ".join(f"{key}={value}" for key, value in self.attributes().items())
        return f"{self.name}({inner})"

    def __str__(self) -> str:
        return self._text


def operation_of(module: nn.Module) -> Op | None:
    """The operation whose module it is; None for layers of other networks, and for parts of an operation."""
    found = module.__dict__.get("operation")
    return found if isinstance(found, Op) else None


def undecayed(net: nn.Module) -> set[str]:
    """Names of the parameters of `net` that its operations want weight decay to leave alone."""
    found = ((name, operation_of(module)) for name, module in net.named_modules())
    return {f"{name}.{own}".removeprefix(".") for name, op in found if op is not None for own in op.undecayed}


def _checked(op: str, spec: Any, value: Any) -> Any:
    """`value` as the type of the attribute's default, or an error that names the attribute."""
    kind = type(spec.default)
    if kind is Fraction:
        value = parse_ratio(value, spec.name)
    elif kind is float and type(value) in (int, float):
        if not abs(value) <= sys.float_info.max:
            raise GenotypeError(f"{op} wants a finite number", spec.name)
        value = float(value) + 0.0  # -0.0 is 0.0: equal operations are written alike
    if type(value) is not kind:
        raise GenotypeError(f"{op} wants {kind.__name__}, got {value!r}", spec.name)
    choices, minimum, below = (spec.metadata[key] for key in ("choices", "minimum", "below"))
    if choices is not None and value not in choices:
        raise GenotypeError(f"{op} has no {value}; choose from: {', '.join(map(str, choices))}", spec.name)
    if minimum is not None and not value >= minimum:
        raise GenotypeError(f"{op} wants at least {minimum}, got {value}", spec.name)
    if below is not None and not value < below:
        raise GenotypeError(f"{op} wants less than {below}, got {value}", spec.name)
    return value


def parse_ratio(value: Any, name: str) -> Fraction:
    """A width ratio from a file: `4`, `"1/4"`, or `0.25`."""
    try:
        if isinstance(value, bool) or (isinstance(value, str) and not _RATIO.fullmatch(value)):
            raise ValueError
        return Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise GenotypeError(f"a width ratio is written like 4 or 1/4, got {value!r}", name) from None


def scaled(channels: int, ratio: Fraction) -> int:
    """`channels` times `ratio`; an error when that is not a whole number."""
    result = channels * ratio
    if result.denominator != 1:
        raise GenotypeError(f"{channels} channels times {ratio} is not a whole number", "ratio")
    return int(result)


@lru_cache(maxsize=4096, typed=True)  # typed: 1 == True == 1.0, but they are not equally valid
def _make(name: str, **attributes: Any) -> Op:
    return REGISTRY[name](**attributes)


def make(name: str, attributes: dict[str, Any] | None = None) -> Op:
    """The operation `name` with `attributes`.

    Raises:
        GenotypeError: no such operation, no such attribute, or a value that is not valid; the path is the key.
    """
    if not isinstance(name, str) or name not in REGISTRY:
        raise GenotypeError(f"there is no operation {name!r}; {nearest(str(name), REGISTRY)}", "op")
    attributes = attributes or {}
    known = [spec.name for spec in fields(REGISTRY[name])]
    for key in attributes:
        if key not in known:
            options = nearest(str(key), known) if known else "it has none"
            raise GenotypeError(f"{name} has no attribute {key!r}; {options}", str(key))
    try:
        return _make(name, **attributes)
    except TypeError:  # an unhashable value, such as a list: the check of the attribute names it
        return REGISTRY[name](**attributes)
