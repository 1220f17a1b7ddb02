"""Workers on the nodes of a Ray cluster.

Each worker is a Ray actor that does nothing but look after one worker process on its node, as `Processes` does here:
limits on time and memory, retries and reasons are the same code, and run where the process is. What Ray adds is where
workers start, and what happens when a node is lost: its tasks are tried once more on others.

The package `uninas`, and that of the scorer, travel to the nodes with the job; torch and Ray have to be there, in the
versions that are here.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import ExecutorError
from ..measurement import Measurement, State
from ..scoring import Scorer
from .base import Allowance, Task
from .pool import End, Pool, Ready, Report, Worker
from .processes import Processes
from .wire import (
    measurements_from_json,
    measurements_to_json,
    scorer_from_json,
    scorer_to_json,
    task_from_json,
    task_to_json,
)

TICK = 0.5
"""Seconds that one wait for Ray takes at most, so that Ctrl-C gets through."""
KNOCK_SECONDS = 10.0
"""For the head of a cluster to take a connection."""
CLOSE_SECONDS = 2.0
"""For an idle actor to end its process."""
PATIENCE = 60.0
"""Seconds without any worker after which it is said what is waited for, and again after as many."""

log = logging.getLogger(__name__)


class RayExecutor(Pool["RayWorker"]):
    """Runs tasks on a Ray cluster.

    Args:
        workers: actors, with one CPU each. Those that the cluster has no room for now start when it has.
        address: "local" starts Ray on this machine; "auto" is the cluster that this machine is a node of (or that
            RAY_ADDRESS names); "host:6379" one that it can join; "ray://host:10001" one that it can only talk to.
        gpus_per_worker: GPUs, or a share of one, for each worker.

    Raises:
        ExecutorError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self, scorer: Scorer, workers: int, allowance: Allowance, address: str = "auto", gpus_per_worker: float = 0
    ) -> None:
        super().__init__(scorer, workers)
        self.allowance = allowance
        self._scorer_json = scorer_to_json(scorer)
        self._gpus = gpus_per_worker
        self._ray, self._connected_here = _connect(address, workers, _packages(scorer))
        options = {"num_cpus": 1, "num_gpus": gpus_per_worker, "scheduling_strategy": "SPREAD"}
        self._actors = self._ray.remote(**options)(Supervisor)
        self._silent_until = time.monotonic() + PATIENCE

    def _new_worker(self) -> RayWorker:
        return RayWorker(
            self._ray, self._actors.remote(self._scorer_json, self.allowance.seconds, self.allowance.bytes)
        )

    def _reports(self) -> Iterable[tuple[RayWorker, Report]]:
        expected = {worker.answer: worker for worker in self._workers if worker.answer is not None}
        answers, _ = self._ray.wait(list(expected), timeout=TICK)
        if any(worker.ready for worker in self._workers):
            self._silent_until = time.monotonic() + PATIENCE
        elif time.monotonic() > self._silent_until:
            self._silent_until += PATIENCE
            log.warning("%s", self._what_is_waited_for())
        for answer in answers:
            yield expected[answer], expected[answer].report()

    def _what_is_waited_for(self) -> str:
        each = f"1 CPU{f' and {self._gpus:g} GPU' if self._gpus else ''}"
        total, free = self._ray.cluster_resources(), self._ray.available_resources()
        has = ", ".join(f"{free.get(kind, 0):g} of {total.get(kind, 0):g} {kind}s free" for kind in ("CPU", "GPU"))
        return f"waiting for the cluster: no worker has started yet; each needs {each}, and there are {has}"

    def close(self) -> None:
        """See `Executor`; also leaves the cluster, and ends a local one, if this executor entered it."""
        super().close()
        if self._connected_here:
            self._connected_here = False
            self._ray.shutdown()


class RayWorker(Worker):
    """The near end of an actor."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self.answer: Any = actor.node.remote()
        """What is waited for; None while the worker has nothing to do."""
        self._closed: Any = None

    def begin(self, task: Task) -> None:
        """See `Worker`."""
        self.answer = self._actor.measure.remote(task_to_json(task))

    def report(self) -> Report:
        """What came of what is waited for; called when that is there."""
        exceptions = self._ray.exceptions
        answer, self.answer = self.answer, None
        try:
            found = self._ray.get(answer)
        except exceptions.RayTaskError as error:
            raise ExecutorError(f"a worker on the cluster failed: {error.cause}") from None
        except (exceptions.RayActorError, exceptions.RuntimeEnvSetupError, exceptions.ObjectLostError) as error:
            if isinstance(error, exceptions.RuntimeEnvSetupError) or "creation task" in str(error):
                raise ExecutorError(f"a worker cannot be started on the cluster: {_gist(error)}") from None
            return End(State.LOST, "its node or its actor was lost")
        if self.ready:
            return measurements_from_json(found)
        self.machine = found
        return Ready()

    def kill(self) -> None:
        """See `Worker`; the process ends with its actor, but only an idle actor can delete its temporary files."""
        if self.ready and self.answer is None:
            self._closed = self._actor.close.remote()
        else:
            self._ray.kill(self._actor)

    def bury(self) -> None:
        """See `Worker`; what is left to do is up to Ray."""
        if self._closed is not None:
            self._ray.wait([self._closed], timeout=CLOSE_SECONDS)
            self._ray.kill(self._actor)


class Supervisor:
    """The far end: an actor that looks after one worker process."""

    def __init__(self, scorer_json: str, seconds: float | None, most_bytes: int | None) -> None:
        self._executor = Processes(scorer_from_json(scorer_json), 1, Allowance(seconds, most_bytes))

    def node(self) -> str:
        """Which node this is."""
        import ray

        return ray.get_runtime_context().get_node_id()

    def measure(self, task_json: str) -> str:
        """Measurements of a task."""
        self._executor.submit(task_from_json(task_json))
        found: list[list[Measurement]] = [measurements for _, measurements in self._executor.results()]
        return measurements_to_json(found[0])

    def close(self) -> None:
        """Ends the process."""
        self._executor.close()


def _connect(address: str, workers: int, packages: list[str]) -> tuple[Any, bool]:
    """Ray, and whether it was this call that connected it: who has connected already goes on with that cluster."""
    if find_spec("ray") is None:
        raise ExecutorError("--ray: Ray is not installed; type: pip install 'uninas-toolkit[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read by what "local" starts
    import ray

    if ray.is_initialized():
        return ray, False
    _knock(address)
    options: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(
            address,
            runtime_env={"py_modules": packages},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **options,
        )
    except (ConnectionError, RuntimeError, ValueError, ImportError, TimeoutError) as error:  # as many kinds as reasons
        raise _unreachable(address, _gist(error)) from None
    return ray, True


def _knock(address: str) -> None:
    """Raises ExecutorError where nobody listens, at once: Ray itself would try for more than five minutes."""
    if address in ("local", "auto"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not host or not colon or not port.isdecimal():
        raise _unreachable(address, "not an address")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, why: str) -> ExecutorError:
    hint = "write local, auto, host:port or ray://host:port; `ray status` says whether a cluster runs here"
    return ExecutorError(f"--ray {address}: no cluster can be reached ({why}); {hint}")


def _packages(scorer: Scorer) -> list[str]:
    """Folders of the packages that workers import: ours, and that of the scorer."""
    names = {__name__.partition(".")[0], type(scorer).__module__.partition(".")[0]}
    folders = (getattr(sys.modules[name], "__path__", None) for name in sorted(names))
    return [str(Path(next(iter(path))).resolve()) for path in folders if path]


def _gist(error: BaseException) -> str:
    """The last line of a message, where Ray puts what matters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
