"""Scoring on several processes. Which process scores a network, and when, changes no value."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import torch

from .errors import RankingError
from .scoring import Setting, Task, score_task
from .store import Row


class Workers:
    """`with Workers(setting, 2) as workers: for rows in workers.score(tasks): ...`

    Args:
        setting: how a network is scored.
        count: processes, each with `setting.threads` threads; 1 scores in this process.
    """

    def __init__(self, setting: Setting, count: int) -> None:
        self.setting = setting
        self._pool: ProcessPoolExecutor | None = None
        if count > 1:
            context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads half-way
            self._pool = ProcessPoolExecutor(count, context, _start, (setting,))

    def score(self, tasks: Iterable[Task]) -> Iterator[list[Row]]:
        """The scores of each task as they come, in any order.

        Raises:
            RankingError: a worker died.
        """
        if self._pool is None:
            for task in tasks:
                yield _here(task, self.setting)
            return
        try:
            for future in as_completed([self._pool.submit(_score, task) for task in tasks]):
                yield future.result()
        except BrokenProcessPool as error:
            message = "a worker process died, out of memory perhaps: run the same command with fewer workers to go on"
            raise RankingError(message) from error

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _here(task: Task, setting: Setting) -> list[Row]:
    threads = torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    try:
        return score_task(task, setting)
    finally:
        torch.set_num_threads(threads)


_setting = Setting()  # of this worker


def _start(setting: Setting) -> None:
    global _setting
    _setting = setting
    torch.set_num_threads(setting.threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _score(task: Task) -> list[Row]:
    return score_task(task, _setting)
