"""What a network may cost. Parameters and MACs are counted before anything is built, latency is measured."""

from __future__ import annotations

from collections.abc import Callable
from operator import gt, lt
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..errors import SpaceError
from ..resources import validated
from ..units import LatencyBound, format_count, parse_count, parse_latency, parse_size

if TYPE_CHECKING:
    from ..genotype import Genotype, NetworkCost


def _count(value: Any) -> int:
    """A whole number as it is, or text such as "30M"; 0 stands for no least."""
    return value if type(value) is int and value >= 0 else parse_count(str(value)) if str(value).strip() != "0" else 0


def _size(value: Any) -> Any:
    """Text such as "224" or "800x1280", a number, or a pair, of which a square one becomes a number."""
    if isinstance(value, str):
        value = parse_size(value)
    if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return value


def _latency(value: Any) -> Any:
    """Text such as "20ms@1x224"."""
    return parse_latency(value) if isinstance(value, str) else value


Count = Annotated[int, BeforeValidator(validated(_count))]
Side = Annotated[int, Field(ge=1)]
InputSize = Annotated[Side | tuple[Side, Side], BeforeValidator(validated(_size))]
Latency = Annotated[LatencyBound, BeforeValidator(validated(_latency))]

COSTS = ("params", "macs")
"""What is counted and can be bounded, as fields of `NetworkCost`."""
BEYOND: dict[str, Callable[[float, float], bool]] = {"max_latency": gt, "min_latency": lt}
"""Whether measured seconds break a bound on latency, by its name."""


class Limits(BaseModel):
    """Bounds on parameters, MACs and latency; None stands for no bound. Sizes may be written 30M, 4.5G."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_params: Count | None = None
    min_params: Count | None = None
    """0, like None, is no bound; a user writes 0 to switch off the space's size band."""
    max_macs: Count | None = None
    min_macs: Count | None = None
    input_size: InputSize = 224
    """Side of the image in pixels, or height and width, for which MACs are counted."""
    num_classes: int = Field(default=1000, ge=1)
    """Classes of the head that is counted with the network."""
    max_latency: Latency | None = None
    """Of a forward pass on this device, median, such as 20ms@1x224: batch 1 of 224 x 224."""
    min_latency: Latency | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Limits:
        for what in COSTS:
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if high == 0:
                raise ValueError(f"max_{what}: no network has 0 {what}; leave it out for no limit")
            if low is not None and high is not None and low > high:
                message = f"min_{what} ({format_count(low)}) is above max_{what} ({format_count(high)})"
                raise ValueError(f"{message}: no network can meet both")
        low, high = self.min_latency, self.max_latency
        if low is not None and high is not None:
            if low.shape != high.shape:
                raise ValueError(f"min_latency and max_latency are for different inputs: {low} and {high}")
            if low.seconds > high.seconds:
                raise ValueError(f"min_latency ({low}) is above max_latency ({high}): no network can meet both")
        return self

    def banded(self, fraction: float | None) -> Limits:
        """With a least of `fraction` of the most where only the most is given: of parameters, or else of MACs.

        Whoever asks for at most 30 M parameters wants the best network near 30 M.
        """
        if fraction is None:
            return self
        if any(getattr(self, f"min_{what}") is not None for what in COSTS):
            return self
        for what in COSTS:
            most = getattr(self, f"max_{what}")
            if most is not None:
                return self.model_copy(update={f"min_{what}": round(fraction * most)})
        return self

    @property
    def given(self) -> dict[str, int]:
        """The bounds on what is counted that are set, by name."""
        names = (f"{side}_{what}" for what in COSTS for side in ("max", "min"))
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def latencies(self) -> dict[str, LatencyBound]:
        """The bounds on latency that are set, by name."""
        return {name: bound for name in BEYOND if (bound := getattr(self, name)) is not None}

    def cost(self, genotype: Genotype) -> NetworkCost:
        """Parameters and MACs as these limits count them."""
        from ..genotype import cost

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
        """Raises SpaceError unless `genotype` meets every bound on what is counted."""
        found = self.cost(genotype)
        for name in self.excess(found):
            raise SpaceError(self.describe(name, found))

    def describe(self, name: str, found: NetworkCost) -> str:
        """One violated bound in words."""
        side, what = name.split("_")
        relation = "above" if side == "max" else "below"
        value = format_count(getattr(found, what))
        return f"{value} {what} are {relation} {name} = {format_count(self.given[name])}"
