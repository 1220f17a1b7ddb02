"""All bounds on cost that hold for a network: the caller's, and those that the space's own file sets."""

from __future__ import annotations

from random import Random

from ...genotype import Genotype
from ...units import format_count
from ..limits import COSTS, Limits

SPREAD = 8
"""Where a cost has a most but no least, drawn networks cost down to the most divided by this."""

REPAIRABLE = 0.25
"""Relative misses, summed, up to which it pays to repair a network move by move; beyond, another is drawn sooner."""

Excess = dict[str, float]
"""By how much each bound that is not met is missed, relative to the bound; empty where all are met."""


class Budget:
    """Several `Limits` as one; those that bound nothing are left out."""

    def __init__(self, *limits: Limits | None) -> None:
        self.limits = [found for found in limits if found is not None and found.given]

    def excess(self, genotype: Genotype) -> Excess:
        """By how much each bound is missed, relative to the bound; the larger miss where two limits set one bound."""
        missed: Excess = {}
        for limits in self.limits:
            for name, value in limits.excess(limits.cost(genotype)).items():
                missed[name] = max(value, missed.get(name, 0.0))
        return missed

    def aim(self, rng: Random) -> Budget:
        """The same bounds, one cost narrowed to a random tenth of what they leave open: where a new network may land.

        It is the first cost that has a least, or else the first that has a most. Between a least and a most the tenth
        is drawn uniformly; below a most alone, on a log scale.
        """
        bounded = [(limits, what) for limits in self.limits for what in COSTS if f"min_{what}" in limits.given]
        bounded += [(limits, what) for limits in self.limits for what in COSTS if f"max_{what}" in limits.given]
        if not bounded:
            return self
        limits, what = bounded[0]
        narrowed = limits.model_copy(update=_tenth(limits, what, rng))
        return Budget(*(narrowed if found is limits else found for found in self.limits))

    def __str__(self) -> str:
        given = (f"{name} = {format_count(value)}" for limits in self.limits for name, value in limits.given.items())
        return ", ".join(dict.fromkeys(given)) or "no limits"


def nearer(excess: Excess, before: Excess) -> bool:
    """Whether all bounds are met, or every one that is missed was missed by more before."""
    return all(name in before and value < before[name] for name, value in excess.items())


def _tenth(limits: Limits, what: str, rng: Random) -> dict[str, int]:
    """A least and a most for one cost, inside those that it has."""
    low, high = getattr(limits, f"min_{what}") or 0, getattr(limits, f"max_{what}")
    if low:
        high = high or SPREAD * low
        middle, reach = rng.uniform(low, high), (high - low) / 20
    else:
        middle = high * SPREAD ** -rng.random()
        reach = middle / 20
    return {f"min_{what}": max(low, round(middle - reach)), f"max_{what}": min(high, round(middle + reach))}
