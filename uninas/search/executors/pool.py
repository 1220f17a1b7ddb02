"""What executors with workers have in common: who runs what, what is tried again, and what its result then is.

Everything happens in the loop of `results`, in the thread of the caller: workers are started where tasks wait, tasks
are given to workers that are free, and what workers report is taken. A worker reports measurements or its own `End`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from ...errors import ExecutorError
from ..measurement import Measurement, State
from ..scoring import Scorer
from .attempt import unmeasured
from .base import TRIES, Task


class End(NamedTuple):
    """Why a worker is no more."""

    state: State
    """TIMED_OUT, OUT_OF_MEMORY or LOST: that of its task, if it was the last try."""
    how: str
    """Such as "signal 9"."""

    def __str__(self) -> str:
        return f"{self.state.value}: {self.how}"


class Ready(NamedTuple):
    """A worker takes tasks from now on."""


Report = list[Measurement] | End | Ready


@dataclass
class Job:
    """A task under way."""

    task: Task
    ends: list[End] = field(default_factory=list)
    """Of the workers that had it."""
    started: float = 0.0
    seconds: float = 0.0
    """Spent on it in all tries."""


class Worker(ABC):
    """Something that runs one task at a time."""

    machine: str | None = None
    """Where it runs: an exclusive task has it for itself. None while that is not known."""
    ready = False
    job: Job | None = None

    @abstractmethod
    def begin(self, task: Task) -> None:
        """Hands over a task; never waits, and leaves it to the next report to say that the worker is gone."""

    @abstractmethod
    def kill(self) -> None:
        """Ends the worker, without waiting for it to be gone. Can be called again."""

    @abstractmethod
    def bury(self) -> None:
        """Waits until it is gone, after `kill`."""


W = TypeVar("W", bound=Worker)


class Pool(ABC, Generic[W]):
    """An executor of workers; see `Executor` for what its methods promise.

    Args:
        capacity: most workers, and so tasks, at a time; there are never more workers than tasks.
    """

    machine: str | None = None
    """Where new workers start; None when that is seen later."""

    def __init__(self, scorer: Scorer, capacity: int) -> None:
        if capacity < 1:
            raise ExecutorError(f"workers: expected at least 1, got {capacity}")
        self.scorer, self.capacity = scorer, capacity
        self._workers: list[W] = []
        self._waiting: deque[Job] = deque()
        self._done: deque[tuple[int, list[Measurement]]] = deque()
        self._never_ready = 0  # workers in a row that ended before they were ready
        self._closed = False

    @abstractmethod
    def _new_worker(self) -> W:
        """Starts a worker; never waits for it."""

    @abstractmethod
    def _reports(self) -> Iterable[tuple[W, Report]]:
        """What workers report, waiting for at most a second if there is nothing."""

    def submit(self, task: Task) -> None:
        """See `Executor`; tasks are started in this order."""
        if self._closed:
            raise ExecutorError("this executor is closed; make another to submit more tasks")
        self._waiting.append(Job(task))

    def results(self) -> Iterator[tuple[int, list[Measurement]]]:
        """See `Executor`.

        Raises:
            ExecutorError: workers cannot be started.
        """
        while True:
            while self._done:
                yield self._done.popleft()
            if not self._waiting and not any(worker.job for worker in self._workers):
                return
            self._start_workers()
            self._start_tasks()
            for worker, report in self._reports():
                self._take(worker, report)

    def close(self) -> None:
        """See `Executor`."""
        self._closed = True
        self._waiting.clear()
        self._done.clear()
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.bury()

    def _start_workers(self) -> None:
        if any(w.job and w.job.task.exclusive and w.machine == self.machine for w in self._workers):
            return  # a start takes seconds of a processor
        busy = sum(worker.job is not None for worker in self._workers)
        for _ in range(min(self.capacity, busy + len(self._waiting)) - len(self._workers)):
            self._workers.append(self._new_worker())

    def _start_tasks(self) -> None:
        while self._waiting:
            worker = self._free_worker(self._waiting[0].task)
            if worker is None:
                return
            job = worker.job = self._waiting.popleft()
            job.started = time.monotonic()
            worker.begin(job.task)

    def _free_worker(self, task: Task) -> W | None:
        """A worker that may run a task now. One that has to be alone waits, and everything after it, for a machine
        where nothing runs or starts."""
        for worker in self._workers:
            if worker.ready and worker.job is None:
                others = [w for w in self._workers if w is not worker and w.machine == worker.machine]
                if task.exclusive:
                    suits = all(other.ready and other.job is None for other in others)
                else:
                    suits = not any(other.job and other.job.task.exclusive for other in others)
                if suits:
                    return worker
        return None

    def _take(self, worker: W, report: Report) -> None:
        if isinstance(report, Ready):
            worker.ready, self._never_ready = True, 0
            return
        job, worker.job = worker.job, None
        if isinstance(report, End):
            self._dismiss(worker)
            if job is not None:
                self._count_try(job, report, None)
            elif not worker.ready:
                self._count_false_start(report)
        elif job is not None:
            exhausted = next((m for m in report if m.state is State.OUT_OF_MEMORY), None)
            if exhausted is None:
                self._done.append((job.task.number, report))
            else:  # what is left of a process whose allocations fail is not worth knowing
                self._dismiss(worker)
                self._count_try(job, End(State.OUT_OF_MEMORY, exhausted.reason or ""), report)

    def _count_try(self, job: Job, end: End, report: list[Measurement] | None) -> None:
        """Tries a task again, or makes the end of its last try its result, which `report` is if there is one."""
        job.seconds += time.monotonic() - job.started
        job.ends.append(end)
        if len(job.ends) < TRIES:
            self._waiting.appendleft(job)
        else:
            result = report or unmeasured(self.scorer, job.task, end.state, in_words(job.ends), job.seconds)
            self._done.append((job.task.number, result))

    def _count_false_start(self, end: End) -> None:
        self._never_ready += 1
        if self._never_ready >= TRIES * self.capacity:
            times = f"{self._never_ready} times in a row"
            raise ExecutorError(f"workers cannot be started: {times} one ended before it was ready; the last: {end}")

    def _dismiss(self, worker: W) -> None:
        self._workers.remove(worker)
        worker.kill()
        worker.bury()


def in_words(ends: Sequence[End]) -> str:
    """`worker died: signal 9, twice`; `timed out: after 2.0 s; before that worker died: signal 9`."""
    *before, last = ends
    if before and all(end == last for end in before):
        times = {2: "twice"}.get(len(ends), f"{len(ends)} times")
        return f"{last}, {times}"
    return "; before that ".join(str(end) for end in reversed(ends))
