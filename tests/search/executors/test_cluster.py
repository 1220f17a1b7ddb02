"""What is Ray's own: addresses, code that travels, room that there is not, and nodes that are lost."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from uninas.errors import ExecutorError
from uninas.search.executors import Allowance, cluster, make_executor
from uninas.search.measurement import State

from .acting import Acting, Unstartable, results, states, task


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nonsense", "not an address"),
        ("ray://nowhere", "not an address"),
        ("127.0.0.1:1", "refused"),
        ("ray://127.0.0.1:1", "refused"),
    ],
)
def test_an_address_without_a_cluster_is_an_error_at_once(address, why):
    pytest.importorskip("ray")
    start = time.monotonic()
    with pytest.raises(ExecutorError, match=f"--ray {address}: no cluster can be reached .*{why}.*host:port"):
        make_executor(Acting(), 2, ray=address)
    assert time.monotonic() - start < 10


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ExecutorError, match=r"pip install 'uninas-toolkit\[ray\]'"):
        make_executor(Acting(), 2, ray="auto")


def test_code_travels_and_an_actor_that_dies_costs_one_try(ray_address, tmp_path):
    import psutil

    executor = make_executor(Acting(folder=str(tmp_path)), 1, ray=ray_address)

    def kill() -> None:
        mark = tmp_path / "pid"
        while not mark.exists() or not mark.read_text():
            time.sleep(0.05)
        killed.append(psutil.Process(int(mark.read_text())))
        killed[0].parent().kill()

    killed: list[psutil.Process] = []
    threading.Thread(target=kill, daemon=True).start()
    found = results(executor, task(0, "once:hang"), task(1, "module", "scratch"))
    executor.close()
    assert states(found[0] + found[1]) == [State.MEASURED] * 3
    assert not killed[0].is_running(), "the process ends with its actor"
    log = (tmp_path / "log").read_text().splitlines()
    module = next(line for line in log if line.startswith("module "))
    assert "_ray_pkg_" in module, "the scorer's package is the one that was sent"
    scratch = Path(next(line for line in log if line.startswith("scratch ")).partition(" ")[2])
    assert scratch.name.startswith("uninas-") and not scratch.exists()


def test_a_scorer_that_the_cluster_cannot_make_is_an_error(ray_address, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("ACTING", "allowed")
        scorer = Unstartable("a")
    executor = make_executor(scorer, 1, ray=ray_address)
    executor.submit(task(0, "value"))
    with pytest.raises(ExecutorError, match=r"cannot be started on the cluster: .*only where ACTING=allowed"):
        list(executor.results())
    executor.close()


def test_waiting_for_room_is_said_and_can_be_interrupted(ray_address, monkeypatch, caplog):
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    executor = make_executor(Acting(), 1, ray=ray_address, gpus_per_worker=0.5)
    executor.submit(task(0, "value"))
    threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        list(executor.results())
    executor.close()
    expected = (
        "no worker has started yet; each needs 1 CPU and 0.5 GPU, and there are 2 of 2 CPUs free, 0 of 0 GPUs free"
    )
    assert expected in caplog.text


@pytest.mark.slow
def test_a_lost_node_costs_what_it_was_running(tmp_path):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args=node)
    other = nodes.add_node(**node)
    executor = make_executor(Acting(folder=str(tmp_path)), 2, Allowance(seconds=60), ray=nodes.address)
    log = Path(tmp_path, "log")
    try:
        for number in range(6):
            executor.submit(task(number, f"sleep:4.{number}"))
        executor.submit(task(6, "value"))

        def remove() -> None:
            while not log.exists() or log.read_text().count("start") < 2:
                time.sleep(0.05)
            nodes.remove_node(other, allow_graceful=False)

        remover = threading.Thread(target=remove, daemon=True)
        remover.start()
        found = dict(executor.results())
        remover.join()
        assert len(nodes.list_all_nodes()) == 1
        assert all(states(found[number]) == [State.MEASURED] for number in range(7))
        assert log.read_text().count("start") == 8, "seven tasks, one of them twice"
    finally:
        executor.close()
        nodes.shutdown()
