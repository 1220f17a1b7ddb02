"""One task, tried once, right here: whatever a score does, it becomes measurements."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from ..measurement import Measurement, State
from ..scoring import Scorer
from .base import Task

NO_MEMORY = re.compile(r"can.?t allocate memory|cannot allocate memory|out of memory|bad_alloc|MemoryError", re.I)
"""How the allocators of torch, C++ and Python say that there is no memory; torch has no exception for its own."""


def measure(scorer: Scorer, task: Task) -> list[Measurement]:
    """One measurement for each metric of the task; an exception is the reason why there is no value.

    An allocation that fails is told apart from other failures, also where a proxy has already made it one of its own.
    Only KeyboardInterrupt gets through: it is for the search.
    """
    start = time.perf_counter()
    try:
        found = scorer.measure(task.genotype, task.phase, task.repeat, task.metrics)
        names = tuple(measurement.metric for measurement in found)
        if names != tuple(task.metrics):
            raise ValueError(f"{type(scorer).__name__} was asked for {task.metrics} and measured {names}")
        return [_told_apart(measurement) for measurement in found]
    except (Exception, SystemExit) as error:  # a score is any code at all
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
    seconds = time.perf_counter() - start
    return [_told_apart(m) for m in unmeasured(scorer, task, State.FAILED, f"error: {what}", seconds)]


def unmeasured(scorer: Scorer, task: Task, state: State, reason: str, seconds: float) -> list[Measurement]:
    """The same reason for every metric of a task, and an equal share of the `seconds` that were spent on it."""
    seed_of = getattr(scorer, "seed_of", None)
    seed = seed_of(task.phase, task.repeat) if seed_of else 0
    share = seconds / max(1, len(task.metrics))
    return [Measurement(metric, None, state, reason, seed, share) for metric in task.metrics]


def _told_apart(measurement: Measurement) -> Measurement:
    """The measurement, OUT_OF_MEMORY if it failed for that reason."""
    if measurement.state is not State.FAILED or not NO_MEMORY.search(measurement.reason or ""):
        return measurement
    reason = f"{State.OUT_OF_MEMORY.value}: {measurement.reason}"
    return replace(measurement, state=State.OUT_OF_MEMORY, reason=reason)
