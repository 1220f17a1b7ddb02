"""Sees to it that measurements are in the study: asks the executor for what is missing, and stores what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from .executors.base import Executor, Task
from .study import Study
from .table import LATENCY, SEARCH, Table


class Measurer:
    """What stands between the search and the workers.

    Args:
        on_record: called after every task that is stored.
    """

    def __init__(self, study: Study, table: Table, executor: Executor, on_record: Callable[[], None]) -> None:
        self.study, self.table, self.executor, self.on_record = study, table, executor, on_record
        self.phase, self.done, self.total = SEARCH, 0, 0  # what is being measured, and how many tasks of it
        self._tasks: dict[int, tuple[int, str, int]] = {}  # task number -> candidate, phase, repeat
        self._next = 0

    def request(self, candidate: int, phase: str, repeats: Iterable[int], metrics: Sequence[str]) -> set[int]:
        """Starts what is missing of a candidate; returns the numbers of the tasks."""
        numbers = set()
        for repeat in repeats:
            known = self.study.measured(candidate, phase, repeat)
            missing = tuple(metric for metric in metrics if metric not in known)
            if missing:
                number, self._next = self._next, self._next + 1
                self._tasks[number] = (candidate, phase, repeat)
                genotype = self.study.genotype(candidate)
                self.executor.submit(Task(number, genotype, phase, repeat, missing, exclusive=phase == LATENCY))
                numbers.add(number)
        return numbers

    def results(self) -> Iterator[int]:
        """Numbers of tasks, each when its measurements are stored; ends when none is left. More may be requested."""
        for number, measurements in self.executor.results():
            candidate, phase, repeat = self._tasks.pop(number)
            self.study.record(candidate, phase, repeat, measurements)
            for measurement in measurements:
                self.table.record(candidate, measurement.metric, phase, repeat, measurement.value)
            self.table.measured(candidate, phase)
            self.done += 1
            self.on_record()
            yield number

    def measure(self, candidates: Iterable[int], phase: str, repeats: int, metrics: Sequence[str]) -> None:
        """Waits until candidates have `repeats` measurements of every metric in a phase."""
        started = [self.request(candidate, phase, range(repeats), metrics) for candidate in dict.fromkeys(candidates)]
        self.phase, self.done, self.total = phase, 0, sum(map(len, started))
        for _ in self.results():
            pass
