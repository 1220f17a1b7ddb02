"""Limits on the cost of a network, checked on `uninas.cost` before anything is built."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..errors import SpaceError
from ..genotype import Genotype, NetworkCost, cost
from ..resources import validated
from ..units import format_count, parse_count, parse_size


def _count(value: Any) -> int:
    """A whole number as it is, or text such as "30M"."""
    return value if type(value) is int and value > 0 else parse_count(str(value))


def _size(value: Any) -> Any:
    """Text such as "224" or "800x1280", a number, or a pair, of which a square one becomes a number."""
    if isinstance(value, str):
        value = parse_size(value)
    if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return value


Count = Annotated[int, BeforeValidator(validated(_count))]
Side = Annotated[int, Field(ge=1)]
InputSize = Annotated[Side | tuple[Side, Side], BeforeValidator(validated(_size))]


class Limits(BaseModel):
    """Bounds on parameters and MACs; None stands for no bound. Sizes may be written 30M, 4.5G."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_params: Count | None = None
    min_params: Count | None = None
    max_macs: Count | None = None
    min_macs: Count | None = None
    input_size: InputSize = 224
    """Side of the image in pixels, or height and width, for which MACs are counted."""
    num_classes: int = Field(default=1000, ge=1)
    """Classes of the head that is counted with the network."""

    @model_validator(mode="after")
    def _ordered(self) -> Limits:
        for what in ("params", "macs"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                message = f"min_{what} ({format_count(low)}) is above max_{what} ({format_count(high)})"
                raise ValueError(f"{message}: no network can meet both")
        return self

    @property
    def given(self) -> dict[str, int]:
        """The bounds that are set, by name."""
        names = ("max_params", "min_params", "max_macs", "min_macs")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def cost(self, genotype: Genotype) -> NetworkCost:
        """Parameters and MACs as these limits count them."""
        return cost(genotype, self.input_size, self.num_classes)

    def excess(self, found: NetworkCost) -> dict[str, float]:
        """By how much each violated bound is missed, relative to the bound; empty when all are met."""
        missed = {}
        for name, bound in self.given.items():
            side, what = name.split("_")
            value = getattr(found, what)
            beyond = value - bound if side == "max" else bound - value
            if beyond > 0:
                missed[name] = beyond / bound
        return missed

    def check(self, genotype: Genotype) -> None:
        """Raises SpaceError unless `genotype` meets every bound."""
        found = self.cost(genotype)
        for name in self.excess(found):
            raise SpaceError(self.describe(name, found))

    def describe(self, name: str, found: NetworkCost) -> str:
        """One violated bound in words."""
        side, what = name.split("_")
        relation = "above" if side == "max" else "below"
        value = format_count(getattr(found, what))
        return f"{value} {what} are {relation} {name} = {format_count(self.given[name])}"
