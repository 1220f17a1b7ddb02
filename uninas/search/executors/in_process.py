"""The executor that needs no other process: a task runs when its result is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ...errors import ExecutorError
from ..measurement import Measurement
from ..scoring import Scorer
from ..threads import torch_threads
from .attempt import measure
from .base import Task


class InProcess:
    """Runs one task after the other, each with one torch thread. Nothing limits what a task uses."""

    capacity = 1

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self._waiting: deque[Task] = deque()
        self._closed = False

    def submit(self, task: Task) -> None:
        """See `Executor`."""
        if self._closed:
            raise ExecutorError("this executor is closed; make another to submit more tasks")
        self._waiting.append(task)

    def results(self) -> Iterator[tuple[int, list[Measurement]]]:
        """See `Executor`; a task that Ctrl-C interrupts is run again when results are asked for again."""
        while self._waiting:
            task = self._waiting[0]
            with torch_threads(1):
                measurements = measure(self.scorer, task)
            self._waiting.popleft()
            yield task.number, measurements

    def close(self) -> None:
        """See `Executor`."""
        self._closed = True
        self._waiting.clear()
