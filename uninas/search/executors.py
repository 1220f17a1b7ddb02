"""Where scores are computed: in this process, or in worker processes. The values are the same.

A score always uses one thread: two processes with a thread each are faster than one with two, and the number of
workers then changes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

import torch

from ..genotype import Genotype
from .scoring import Phase, Score, Scorer

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
TRIES = 2
"""Of a task whose worker dies, before that counts as the candidate's failure."""


class Task(NamedTuple):
    """One score to compute."""

    genotype: Genotype
    phase: Phase
    repeat: int


class Executor(Protocol):
    """Computes scores."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Score]]:
        """(index of the task, score), as they are done."""
        ...

    def close(self) -> None:
        """Ends what was started."""
        ...


def executor(scorer: Scorer, workers: int) -> Executor:
    """In-process for one worker, else processes."""
    return InProcess(scorer) if workers == 1 else Processes(scorer, workers)


class InProcess:
    """Scores one task after the other."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Score]]:
        for index, task in enumerate(tasks):
            with one_thread():
                score = self.scorer.score(*task)
            yield index, score

    def close(self) -> None:
        pass


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside; the number there was, afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Processes:
    """Worker processes (`uninas.search.worker`), each fed by a thread with a line of JSON for every task."""

    def __init__(self, scorer: Scorer, workers: int) -> None:
        self.scorer = scorer
        self.workers: list[subprocess.Popen[str] | None] = [None] * workers
        self.closed = False

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Score]]:
        waiting: SimpleQueue[int] = SimpleQueue()
        done: SimpleQueue[tuple[int, Score | Exception]] = SimpleQueue()
        for index in range(len(tasks)):
            waiting.put(index)
        for slot in range(min(len(self.workers), len(tasks))):
            threading.Thread(target=self._feed, args=(slot, tasks, waiting, done), daemon=True).start()
        for _ in tasks:
            index, score = done.get()
            if isinstance(score, Exception):
                raise score
            yield index, score

    def _feed(self, slot: int, tasks: Sequence[Task], waiting: SimpleQueue, done: SimpleQueue) -> None:
        """Gives one worker tasks until none is waiting."""
        while True:
            try:
                index = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((index, self._ask(slot, tasks[index])))
            except Exception as error:  # raised again where the scores are waited for
                done.put((index, error))

    def _ask(self, slot: int, task: Task) -> Score:
        """One task by one worker, which is started where there is none."""
        line = json.dumps({"genotype": task.genotype.to_dict(), "phase": task.phase, "repeat": task.repeat}) + "\n"
        for _ in range(TRIES):
            worker = self.workers[slot] = self.workers[slot] or self._start()
            try:
                worker.stdin.write(line)  # type: ignore[union-attr]
                worker.stdin.flush()  # type: ignore[union-attr]
                answer = worker.stdout.readline()  # type: ignore[union-attr]
            except (BrokenPipeError, ValueError):  # it died, or the search has been closed
                answer = ""
            if answer:
                return Score(**json.loads(answer))
            self._stop(slot)
            if self.closed:
                break
        return Score(self.scorer.seed_of(task.phase, task.repeat), None, "worker died", 0.0)

    def _start(self) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "uninas.search.worker", json.dumps(asdict(self.scorer))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )

    def _stop(self, slot: int) -> None:
        worker, self.workers[slot] = self.workers[slot], None
        if worker is not None:
            worker.kill()
            worker.wait()
            worker.stdin.close()  # type: ignore[union-attr]
            worker.stdout.close()  # type: ignore[union-attr]

    def close(self) -> None:
        self.closed = True
        for slot in range(len(self.workers)):
            self._stop(slot)
