"""What every executor promises, whatever runs the tasks."""

from __future__ import annotations

import os
import threading
import time

import pytest
import torch

from uninas.errors import ExecutorError
from uninas.search.executors import Allowance, Executor, InProcess, Processes, Task, make_executor
from uninas.search.measurement import State
from uninas.search.scoring import ProxyScorer

from .acting import GENOTYPE, PROXIES, Acting, results, states, task

WORKERS = {"in-process": 1, "one process": 1, "two processes": 2, "ray": 2}
LIMITED = Allowance(seconds=4.0, bytes=3 * 10**8)


@pytest.fixture(scope="module", params=WORKERS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def shared(kind, request, tmp_path_factory):
    """An executor, and the folder that its scorer writes to; the workers of a kind serve all tests."""
    folder = tmp_path_factory.mktemp("marks")
    scorer = Acting(folder=str(folder))
    if kind == "in-process":
        made = make_executor(scorer, 1)
    else:
        address = request.getfixturevalue("ray_address") if kind == "ray" else None
        made = make_executor(scorer, WORKERS[kind], LIMITED, address)
    yield made, folder
    made.close()


@pytest.fixture
def executor(shared):
    return shared[0]


@pytest.fixture
def folder(shared):
    for mark in shared[1].iterdir():
        mark.unlink()
    return shared[1]


@pytest.fixture
def with_workers(kind):
    if WORKERS[kind] < 2:
        pytest.skip("is about several workers")


def test_scores_are_the_same_everywhere(kind, executor):
    """Values and seeds, to the last bit."""
    tasks = [Task(10 + repeat, GENOTYPE, "search", repeat, PROXIES) for repeat in range(3)]
    assert isinstance(executor, Executor) and executor.capacity == WORKERS[kind]
    threads = torch.get_num_threads()
    found = results(executor, *tasks)
    assert torch.get_num_threads() == threads
    for each in tasks:
        expected = ProxyScorer((32, 32), 4, 5, 3).measure(GENOTYPE, "search", each.repeat, PROXIES)
        assert [(m.metric, m.value, m.state, m.seed) for m in found[each.number]] == [
            (m.metric, m.value, State.MEASURED, m.seed) for m in expected
        ]
        assert all(m.seconds > 0 for m in found[each.number])
    assert len({found[number][0].value for number in found}) == 3, "repeats differ"


def test_results_can_be_given_up_and_gone_on_with_and_grow(executor):
    assert list(executor.results()) == []
    for number in range(3):
        executor.submit(task(number, "threads:1"))
    seen = [next(executor.results())[0]]
    executor.submit(task(7, "value"))
    for number, found in executor.results():
        assert {*states(found)} == {State.MEASURED}, found
        if number == 7:
            executor.submit(task(8, "value", "sleep:0.01"))
        seen.append(number)
        if number == 8:
            assert [m.metric for m in found] == ["value", "sleep:0.01"]
    assert sorted(seen) == [0, 1, 2, 7, 8]
    assert list(executor.results()) == []


def test_after_close_nothing_is_taken(kind, request):
    address = request.getfixturevalue("ray_address") if kind == "ray" else None
    executor = make_executor(Acting(), WORKERS[kind], Allowance() if kind == "in-process" else LIMITED, address)
    executor.submit(task(8, "value"))
    executor.close()
    executor.close()
    assert list(executor.results()) == []
    with pytest.raises(ExecutorError, match="closed"):
        executor.submit(task(9, "value"))


def test_a_bug_in_a_score_is_the_failure_of_its_task_alone(executor):
    tasks = [task(0, "value"), task(1, "error", "value"), task(2, "exit:3"), task(3, "print:hello"), task(4, "value")]
    found = results(executor, *tasks)
    assert [m.reason for m in found[1]] == ["error: KeyError: 'no such layer'"] * 2
    assert [m.metric for m in found[1]] == ["error", "value"]
    assert found[2][0].reason == "error: SystemExit: 3"
    assert [found[number][0].state for number in range(5)] == [
        State.MEASURED, State.FAILED, State.FAILED, State.MEASURED, State.MEASURED,
    ]  # fmt: skip


@pytest.mark.slow
def test_what_ends_a_worker_costs_its_task_alone(executor, folder, with_workers):
    actions = ["value", "hang", "once:kill:9", "tensor:20", "leave:3", "value"]
    found = results(executor, *(task(number, action) for number, action in enumerate(actions)))
    assert [found[number][0].state for number in range(6)] == [
        State.MEASURED, State.TIMED_OUT, State.MEASURED, State.OUT_OF_MEMORY, State.LOST, State.MEASURED,
    ]  # fmt: skip
    assert found[1][0].reason == "timed out: after 4.0 s, twice"
    assert found[1][0].seconds > 8
    assert (found[3][0].reason or "").startswith("out of memory: ")
    assert found[4][0].reason == "worker died: exit code 3, twice"


def test_a_worker_killed_from_outside_costs_one_try(executor, folder, with_workers):

    def kill() -> None:
        mark = folder / "pid"
        while not mark.exists() or not mark.read_text():
            time.sleep(0.05)
        os.kill(int(mark.read_text()), 9)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    found = results(executor, task(0, "once:sleep:3"), task(1, "value"))
    killer.join()
    assert states(found[0] + found[1]) == [State.MEASURED] * 2
    assert (folder / "log").read_text().count("start once:sleep:3") == 2


def test_a_task_that_has_to_be_alone_is(executor, folder, with_workers):
    alone = task(2, "sleep:0.3", exclusive=True)
    found = results(
        executor, task(0, "sleep:0.2"), task(1, "sleep:0.21"), alone, task(3, "value"), task(4, "threads:1")
    )
    assert all(states(measurements) == [State.MEASURED] for measurements in found.values())
    log = (folder / "log").read_text().splitlines()
    assert log.index("end sleep:0.3") == log.index("start sleep:0.3") + 1 == 5
    assert {*log[:4]} == {"start sleep:0.2", "start sleep:0.21", "end sleep:0.2", "end sleep:0.21"}


def test_which_executor_settings_ask_for():
    scorer = Acting()
    for workers, allowance, kind in [
        (1, None, InProcess),
        (1, Allowance(), InProcess),
        (1, Allowance(seconds=1), Processes),  # only a process can be ended
        (1, Allowance(bytes=1), Processes),
        (2, None, Processes),
    ]:
        made = make_executor(scorer, workers, allowance)
        assert type(made) is kind
        made.close()
    with pytest.raises(ExecutorError, match="workers: expected at least 1, got 0"):
        make_executor(scorer, 0)
