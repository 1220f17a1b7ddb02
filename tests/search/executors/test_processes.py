"""What happens to worker processes, and to who waits for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from uninas.errors import ExecutorError
from uninas.search.executors import Allowance, Processes
from uninas.search.executors import processes as module
from uninas.search.measurement import State

from .acting import Acting, Unstartable, results, states, task

TESTS = Path(__file__).parents[2]


def workers() -> list[psutil.Process]:
    """The worker processes that this process has started."""
    return [child for child in psutil.Process().children() if f"{module.__package__}.worker" in child.cmdline()]


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_one_worker_for_one_task_at_a_time_in_order_and_none_after_close(tmp_path):
    executor = Processes(Acting(folder=str(tmp_path)), 2)
    assert not workers()
    for number in range(4):
        assert states(results(executor, task(number, f"sleep:0.{number}1"))[number]) == [State.MEASURED]
        assert len(workers()) == 1
    child = workers()[0]
    assert child.environ()["OMP_NUM_THREADS"] == "1"
    child.send_signal(signal.SIGINT)  # as Ctrl-C in the terminal does
    found = results(executor, task(5, "print:answer"), task(6, "read"), task(7, "interrupt"))
    assert [states(found[number]) for number in (5, 6, 7)] == [[State.MEASURED]] * 3
    assert child in workers()
    executor.close()
    assert not workers() and not child.is_running()


@pytest.mark.slow
def test_strange_ends(tmp_path, monkeypatch):
    """A worker that is alive and says nothing more; memory that only a look from outside sees."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    executor = Processes(Acting(folder=str(tmp_path)), 2, Allowance(bytes=2 * 10**8))
    actions = ["close", "write:garbage\\n", "write:[{", "shared:1", "bytes:1", "value"]
    found = results(executor, *(task(number, action) for number, action in enumerate(actions)))
    executor.close()
    assert [found[number][0].reason for number in range(4)] == [
        "worker died: it closed its output, twice",
        "worker died: it wrote b'garbage', which is no answer, twice",
        "worker died: it wrote b'[{', and no more, twice",
        "out of memory: more than 200.00MB, twice",
    ]
    assert [states(found[number]) for number in (3, 4, 5)] == [
        [State.OUT_OF_MEMORY],
        [State.OUT_OF_MEMORY],
        [State.MEASURED],
    ]


def test_ctrl_c_gets_through_and_close_ends_what_runs(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    executor = Processes(Acting(folder=str(tmp_path)), 1)
    executor.submit(task(0, "temporary", "hang"))
    pressed: list[float] = []

    def press() -> None:
        wait_for((tmp_path / "pid").exists)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        list(executor.results())
    assert time.monotonic() - pressed[0] < 1
    assert len(workers()) == 1
    executor.close()
    assert time.monotonic() - pressed[0] < 2
    assert not workers()
    assert not list(temporary.iterdir())
    assert list(executor.results()) == []


def test_what_a_worker_leaves_in_its_temporary_folder_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "marks").mkdir()
    executor = Processes(Acting(folder=str(tmp_path / "marks")), 1, Allowance(seconds=1.0))
    found = results(executor, task(0, "temporary"))[0]
    assert states(found) == [State.MEASURED]
    (scratch,) = set(tmp_path.iterdir()) - {tmp_path / "marks"}
    assert scratch.name.startswith("uninas-") and len(list(scratch.iterdir())) == 1
    found = results(executor, task(1, "temporary", "hang"))[1]
    assert states(found) == [State.TIMED_OUT] * 2
    assert list(tmp_path.iterdir()) == [tmp_path / "marks"]
    executor.close()


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from search.executors.acting import Acting, task
from uninas.search.executors import Processes
executor = Processes(Acting(folder=sys.argv[2]), 1)
executor.submit(task(0, "hang"))
list(executor.results())
"""


def test_workers_end_with_a_search_that_is_killed(tmp_path):
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(TESTS), str(tmp_path)], env=environment)
    mark = tmp_path / "pid"
    wait_for(lambda: mark.exists() and mark.read_text() != "")
    worker = psutil.Process(int(mark.read_text()))
    assert worker.ppid() == parent.pid
    parent.kill()
    parent.wait()
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, 5)
    assert not list((tmp_path / "temporary").iterdir())


def test_workers_that_cannot_start_are_an_error(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("ACTING", "allowed")
        scorer = Unstartable("a")
    executor = Processes(scorer, 2)
    executor.submit(task(0, "value"))
    with pytest.raises(ExecutorError, match="a worker cannot start: RuntimeError: only where ACTING=allowed"):
        list(executor.results())
    executor.close()
    assert not workers()


def test_a_worker_that_takes_too_long_to_start_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "START_SECONDS", 0.1)
    executor = Processes(Acting(), 1)
    executor.submit(task(0, "value"))
    with pytest.raises(ExecutorError, match=r"workers cannot be started: 2 times .* it was not ready after 0 s"):
        list(executor.results())
    executor.close()
    assert not workers()
