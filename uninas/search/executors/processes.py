"""Worker processes on this machine, each told tasks and asked for answers through its own two pipes.

A worker is given up, and ended, when it exits, closes its pipe, writes what is no answer, or goes beyond the allowance.
Limits are watched here, from outside, since a score that computes listens to nobody.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from multiprocessing.connection import wait

import psutil

from ...errors import ExecutorError
from ...units import format_bytes
from ..measurement import State
from ..scoring import Scorer
from .base import Allowance, Task
from .pool import End, Pool, Ready, Report, Worker
from .wire import measurements_from_json, scorer_to_json, task_to_json

TICK = 0.05
"""Seconds between two looks at the time and memory of workers."""
START_SECONDS = 300.0
"""For a worker to import torch, which many at once on a slow file system do slowly."""
ANSWER_SECONDS = 10.0
"""From the first byte of an answer to the last."""
HERE = "this machine"


class Processes(Pool["ProcessWorker"]):
    """Runs tasks in worker processes (`uninas.search.executors.worker`).

    Raises:
        ExecutorError: the scorer cannot be sent to a worker.
    """

    machine = HERE

    def __init__(self, scorer: Scorer, workers: int, allowance: Allowance | None = None) -> None:
        super().__init__(scorer, workers)
        self.allowance = allowance or Allowance()
        self._scorer_json = scorer_to_json(scorer)

    def _new_worker(self) -> ProcessWorker:
        return ProcessWorker(self._scorer_json, self.allowance)

    def _reports(self) -> Iterable[tuple[ProcessWorker, Report]]:
        wait([worker.answers.fileno() for worker in self._workers], timeout=TICK)
        for worker in list(self._workers):
            report = worker.report()
            if report is not None:
                yield worker, report


class ProcessWorker(Worker):
    """One process, in a session of its own, so that Ctrl-C does not reach it even while it starts, and with a folder of
    its own for temporary files, since one that is killed deletes none.

    Raises:
        ExecutorError: the folder cannot be made.
    """

    machine = HERE

    def __init__(self, scorer_json: str, allowance: Allowance) -> None:
        self.allowance = allowance
        try:
            self._scratch = tempfile.TemporaryDirectory(prefix="uninas-", ignore_cleanup_errors=True)
        except OSError as error:
            raise ExecutorError(f"cannot make a folder for a worker's temporary files: {error}") from None
        folder = self._scratch.name
        arguments = [scorer_json, str(allowance.bytes or 0), folder]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", f"{__package__}.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": _import_path(), "OMP_NUM_THREADS": "1", "TMPDIR": folder},
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise ExecutorError("a worker process was started without pipes")
        self.tasks, self.answers = self.process.stdin, self.process.stdout
        os.set_blocking(self.tasks.fileno(), False)
        os.set_blocking(self.answers.fileno(), False)
        self._outbox = b""
        self._inbox = b""
        self._deadline = time.monotonic() + START_SECONDS
        self._idle_bytes = 0

    def begin(self, task: Task) -> None:
        """See `Worker`."""
        self._outbox, self._inbox = task_to_json(task).encode() + b"\n", b""
        seconds = self.allowance.seconds
        self._deadline = float("inf") if seconds is None else time.monotonic() + seconds
        self._send()

    def report(self) -> Report | None:
        """What has happened, if anything has; never waits."""
        self._send()
        exited = self.process.poll() is not None  # before reading: an answer may be its last act
        chunk = self.answers.read()
        self._inbox += chunk or b""
        line, newline, rest = self._inbox.partition(b"\n")
        if newline:
            self._inbox = rest
            return self._understand(line)
        if exited or chunk == b"":
            return End(State.LOST, self._exit_cause())
        return self._beyond_allowance()

    def kill(self) -> None:
        """See `Worker`."""
        self.process.kill()

    def bury(self) -> None:
        """See `Worker`."""
        self.process.wait()
        self.tasks.close()
        self.answers.close()
        self._scratch.cleanup()

    def _send(self) -> None:
        """Writes as much of a task as the pipe takes now."""
        if self._outbox:
            try:
                self._outbox = self._outbox[self.tasks.write(self._outbox) or 0 :]
            except BrokenPipeError:  # the worker has ended, which the next read tells
                self._outbox = b""

    def _understand(self, line: bytes) -> Report | None:
        if not self.ready:
            if line.startswith(b"cannot start: "):
                raise ExecutorError(f"a worker {line.decode(errors='replace')}")
            if line != b"ready":
                return None  # printed by a library when it was imported
            self._idle_bytes = self._resident_bytes()
            return Ready()
        try:
            return measurements_from_json(line.decode())
        except (ValueError, KeyError, TypeError):
            return End(State.LOST, f"it wrote {line[:40]!r}, which is no answer")

    def _beyond_allowance(self) -> End | None:
        now = time.monotonic()
        if self._inbox and self.ready:
            self._deadline = min(self._deadline, now + ANSWER_SECONDS)
        if self.job is not None or not self.ready:
            if now > self._deadline:
                return self._too_late()
            most = self.allowance.bytes
            if most is not None and self.job is not None and self._resident_bytes() - self._idle_bytes > most:
                return End(State.OUT_OF_MEMORY, f"more than {format_bytes(most)}")
        return None

    def _too_late(self) -> End:
        if not self.ready:
            return End(State.LOST, f"it was not ready after {START_SECONDS:.0f} s")
        if self._inbox:
            return End(State.LOST, f"it wrote {self._inbox[:40]!r}, and no more")
        return End(State.TIMED_OUT, f"after {self.allowance.seconds:.1f} s")

    def _resident_bytes(self) -> int:
        try:
            return psutil.Process(self.process.pid).memory_info().rss
        except psutil.Error:  # it has ended, which the next read tells
            return 0

    def _exit_cause(self) -> str:
        try:
            code = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "it closed its output"
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _import_path() -> str:
    """Where this process finds modules, for a worker to find the same."""
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)
