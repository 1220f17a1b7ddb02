"""Who runs what, with workers that are nothing but marks."""

from __future__ import annotations

import pytest

from uninas.errors import ExecutorError
from uninas.search.executors.pool import End, Pool, Ready, Worker, in_words
from uninas.search.measurement import Measurement, State

from .acting import Acting, states, task

KILLED, LATE = End(State.LOST, "signal 9"), End(State.TIMED_OUT, "after 2.0 s")


class Mark(Worker):
    alive = True

    def __init__(self, machine: str) -> None:
        self.machine = machine

    def begin(self, task) -> None:
        pass

    def kill(self) -> None:
        self.alive = False

    def bury(self) -> None:
        assert not self.alive


class Marks(Pool[Mark]):
    """Workers on given machines; the reports of each round are prepared."""

    def __init__(self, *machines: str) -> None:
        super().__init__(Acting(), len(machines))
        self.machines = list(machines)
        self.rounds: list = []
        self.seen: list[set[int]] = []

    def _new_worker(self) -> Mark:
        return Mark(self.machines[len(self._workers)])

    def _reports(self):
        self.seen.append({w.job.task.number for w in self._workers if w.job})
        return self.rounds.pop(0)(self)

    def running(self, number: int) -> Mark:
        return next(w for w in self._workers if w.job and w.job.task.number == number)


def ready(pool: Marks) -> list:
    return [(worker, Ready()) for worker in pool._workers if not worker.ready]


def ends(number: int, how: End):
    return lambda pool: [(pool.running(number), how)]


def gives(*numbers: int, state: State = State.MEASURED):
    value, reason = (1.0, None) if state is State.MEASURED else (None, "why")
    return lambda pool: [(pool.running(n), [Measurement("value", value, state, reason, 0, 0.0)]) for n in numbers]


def test_an_exclusive_task_waits_for_one_machine_and_not_for_all():
    pool = Marks("a", "a", "b", "b")
    pool.rounds = [ready, gives(2), gives(3), gives(0, 1), gives(4, 5)]
    for number, exclusive in enumerate([False, False, False, False, True, False]):
        pool.submit(task(number, "value", exclusive=exclusive))
    assert sorted(number for number, _ in pool.results()) == [0, 1, 2, 3, 4, 5]
    assert pool.seen == [
        set(),
        {0, 1, 2, 3},
        {0, 1, 3},  # 4 needs a machine where nothing runs, and 5 comes after it
        {0, 1, 4},  # on b, whose other worker stays idle
        {4, 5},
    ]


def test_a_machine_where_a_worker_starts_is_not_quiet():
    pool = Marks("a", "a")
    pool.rounds = [lambda pool: ready(pool)[:1], ready, gives(0), gives(1)]
    pool.submit(task(0, "value", exclusive=True))
    pool.submit(task(1, "value", exclusive=True))
    assert [number for number, _ in pool.results()] == [0, 1]
    assert pool.seen == [set(), set(), {0}, {1}]


@pytest.mark.parametrize(
    ("first", "second", "state", "reason"),
    [
        (KILLED, KILLED, State.LOST, "worker died: signal 9, twice"),
        (LATE, LATE, State.TIMED_OUT, "timed out: after 2.0 s, twice"),
        (KILLED, LATE, State.TIMED_OUT, "timed out: after 2.0 s; before that worker died: signal 9"),
    ],
)
def test_the_second_end_is_the_result(first, second, state, reason):
    pool = Marks("a")
    pool.rounds = [ready, ends(0, first), ready, ends(0, second), ready, gives(1)]
    pool.submit(task(0, "value", "other"))
    pool.submit(task(1, "value"))
    found = dict(pool.results())
    assert [(m.metric, m.state, m.reason) for m in found[0]] == [("value", state, reason), ("other", state, reason)]
    assert states(found[1]) == [State.MEASURED]
    assert pool.seen == [set(), {0}, set(), {0}, set(), {1}]


def test_after_a_failed_allocation_comes_a_new_worker():
    pool = Marks("a")
    pool.rounds = [ready, gives(0, state=State.OUT_OF_MEMORY), ready, gives(0), gives(1)]
    pool.submit(task(0, "value"))
    pool.submit(task(1, "value"))
    found = dict(pool.results())
    assert states(found[0]) == states(found[1]) == [State.MEASURED]


def test_the_end_of_a_worker_that_has_nothing_to_do_costs_nothing():
    pool = Marks("a", "a")
    idle = lambda pool: [(next(w for w in pool._workers if w.ready and not w.job), KILLED)]  # noqa: E731
    pool.rounds = [ready, gives(1), idle, gives(0)]
    pool.submit(task(0, "value"))
    pool.submit(task(1, "value"))
    assert [number for number, _ in pool.results()] == [1, 0]
    assert len(pool._workers) == 1


def test_workers_that_never_become_ready_are_an_error():
    pool = Marks("a")
    pool.rounds = [lambda pool: [(pool._workers[0], End(State.LOST, "exit code 1"))]] * 2
    pool.submit(task(0, "value"))
    with pytest.raises(ExecutorError, match=r"2 times in a row .* worker died: exit code 1"):
        list(pool.results())


def test_there_are_never_more_workers_than_tasks():
    pool = Marks("a", "a", "a")
    pool.rounds = [ready, gives(0)]
    pool.submit(task(0, "value"))
    assert len(list(pool.results())) == 1
    assert len(pool._workers) == 1
    worker = pool._workers[0]
    pool.close()
    assert not worker.alive


def test_ends_in_words():
    assert in_words([KILLED]) == "worker died: signal 9"
    assert in_words([KILLED] * 3) == "worker died: signal 9, 3 times"
