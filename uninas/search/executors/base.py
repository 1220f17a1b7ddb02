"""The contract of executors: tasks go in, measurements come out as they are done, in any order.

    executor.submit(Task(0, genotype, "search", 0, ("vkdnw", "naswot")))
    for number, measurements in executor.results():
        ...                                   # more may be submitted here

What a task gives depends on nothing but the task, so executors differ in nothing but time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ...genotype import Genotype
from ..measurement import Measurement

TRIES = 2
"""Of a task that takes too long or too much memory, or whose worker dies, before that becomes its result."""


@dataclass(frozen=True)
class Task:
    """One network to measure."""

    number: int
    """The caller's; no two tasks in flight have the same."""
    genotype: Genotype
    phase: str
    repeat: int
    metrics: tuple[str, ...]
    exclusive: bool = False
    """Nothing else may run at the same time on the machine that runs it (a latency)."""


@dataclass(frozen=True)
class Allowance:
    """What one task may use before its worker is ended; None for no limit."""

    seconds: float | None = None
    bytes: int | None = None
    """Of memory beyond what an idle worker has."""


@runtime_checkable
class Executor(Protocol):
    """Measures tasks."""

    capacity: int
    """Tasks that can run at once."""

    def submit(self, task: Task) -> None:
        """Takes a task; never waits.

        Raises:
            ExecutorError: after `close`.
        """
        ...

    def results(self) -> Iterator[tuple[int, list[Measurement]]]:
        """(task number, one measurement for each of its metrics), each as soon as it is done.

        Ends when nothing that was submitted is left. Never waits for ever: a worker that dies, hangs beyond the
        allowance or takes too much memory is replaced, its task tried once more, and then given back as measurements
        in the state that says so.
        """
        ...

    def close(self) -> None:
        """Ends all that was started, at once; what was running is lost. Can be called again."""
        ...
