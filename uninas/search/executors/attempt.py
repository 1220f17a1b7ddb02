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
CIRCUMSTANCES = (State.TIMED_OUT, State.OUT_OF_MEMORY, State.LOST)
BY_CIRCUMSTANCES = re.compile(
    rf"^({'|'.join(state.value for state in CIRCUMSTANCES)}): |{NO_MEMORY.pattern}|No space left on device|Disk quota"
    "|inline_container|CUDA error|CUDNN_STATUS|CUBLAS_STATUS",
    re.I,
)
"""How reasons begin that an executor gives, and what torch and the system say of a full disk (`inline_container`: a
checkpoint was cut short) and of a GPU that is lost to its process."""


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


def is_of_circumstances(reason: str | None) -> bool:
    """Whether a reason why there is no value is of the machine or its limits (time, memory, disk, a lost worker), and
    may be gone the next time; any other is a property of the network at its seed."""
    return bool(reason and BY_CIRCUMSTANCES.search(reason))


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
