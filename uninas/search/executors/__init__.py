"""Where scores are computed: in this process, in worker processes, or on the nodes of a Ray cluster. The values are
the same; only time differs."""

from __future__ import annotations

from ..scoring import Scorer
from .base import Allowance, Executor, Task
from .in_process import InProcess
from .processes import Processes

__all__ = ["Allowance", "Executor", "InProcess", "Processes", "Task", "make_executor"]


def make_executor(
    scorer: Scorer,
    workers: int,
    allowance: Allowance | None = None,
    ray: str | None = None,
    gpus_per_worker: float = 0,
) -> Executor:
    """The executor that settings ask for.

    Args:
        workers: tasks that run at once. One, without limits, needs no other process; a limit does, since only a
            process can be ended.
        allowance: what a task may use; None for no limits.
        ray: address of a Ray cluster, see `uninas.search.executors.cluster`; None computes on this machine.
        gpus_per_worker: GPUs, or a share of one, that Ray gives each worker.

    Raises:
        ExecutorError: Ray is not installed or cannot be reached, or the scorer cannot be sent to a worker.
    """
    allowance = allowance or Allowance()
    if ray is not None:
        from .cluster import RayExecutor

        return RayExecutor(scorer, workers, allowance, ray, gpus_per_worker)
    if workers == 1 and allowance == Allowance():
        return InProcess(scorer)
    return Processes(scorer, workers, allowance)
