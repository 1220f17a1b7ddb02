"""The rule by which passes are timed, on a clock that is not real."""

from __future__ import annotations

import pytest

from uninas import timing


class Clock:
    """Time that passes only in forward passes."""

    def __init__(self, monkeypatch, durations) -> None:
        self.now, self.durations, self.passes = 0.0, iter(durations), 0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def forward(self) -> None:
        self.passes += 1
        self.now += next(self.durations)


def test_a_stable_median_ends_the_timing_and_the_budget_does(monkeypatch):
    steady = Clock(monkeypatch, [1.0] * timing.WARM_UP_RUNS + [0.5] * 1000)
    assert timing.time_runs(steady.forward, lambda: None, 100.0) == (0.5, 0.5, timing.CHECK_EVERY)
    assert steady.passes == timing.WARM_UP_RUNS + timing.CHECK_EVERY
    noisy = Clock(monkeypatch, [0.1, 0.2] * 1000)
    assert timing.time_runs(noisy.forward, lambda: None, 3.0).runs == 20
    counted = Clock(monkeypatch, [0.5] * 100)
    assert timing.time_runs(counted.forward, lambda: None, 0.0, runs=30).runs == 30
    slow = Clock(monkeypatch, [9.0] * 100)
    assert timing.time_runs(slow.forward, lambda: None, 3.0).runs == timing.MIN_RUNS


def test_quantiles(monkeypatch):
    clock = Clock(monkeypatch, [9.0] * timing.WARM_UP_RUNS + [5.0, 1.0, 4.0, 2.0, 3.0])
    assert timing.time_runs(clock.forward, lambda: None, 1.0) == (3.0, pytest.approx(4.6), 5)


def test_the_device_is_waited_for_before_and_after_each_pass(monkeypatch):
    events: list[str] = []
    timing.time_runs(lambda: events.append("forward"), lambda: events.append("wait"), 0.0)
    assert events == ["forward"] * timing.WARM_UP_RUNS + ["wait", "forward", "wait"] * timing.MIN_RUNS
