"""What was measured of a network: a value, or the reason why there is none. A measurement without a value is never a
number, and says nothing about other measurements of the same network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class State(str, Enum):
    """How a measurement ended."""

    MEASURED = "measured"
    FAILED = "failed"
    """By the proxy: a property of the network at this seed."""
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    LOST = "worker died"
    """Twice, for a reason that the system does not tell."""


@dataclass(frozen=True)
class Measurement:
    """One metric of one network at one seed."""

    metric: str
    value: float | None
    state: State
    reason: str | None
    """`kind: what happened`; None if there is a value."""
    seed: int
    """Of the initial weights."""
    seconds: float
    """Of wall time, the share of this metric."""

    def __post_init__(self) -> None:
        measured = self.state is State.MEASURED
        if measured != (self.value is not None) or measured != (self.reason is None):
            raise ValueError(f"a measurement has a value or a reason, got {self}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a value is finite, got {self}")
