"""Latency as a limit and as an objective of searches."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from uninas.errors import StudyError
from uninas.search import Interrupted, Study, search

from .fakes import HashScorer
from .studies import contents, essence, options


def test_a_warm_start_meets_the_limits_on_latency(config, tmp_path):
    search(config(iterations=12, out=tmp_path / "a"), scorer=HashScorer())
    settings = {"iterations": 2, "max_latency": "5ms@1x32", "warm_start": tmp_path / "a"}
    summary = search(config(**settings), scorer=HashScorer())
    study = Study.open(config().out)
    seconds = {row.candidate: row.value for row in study.scores("latency")}
    brought = [row for row in study.candidates() if row.origin]
    assert len(brought) == summary.at_the_beginning - 1
    assert {row.refused is None for row in brought} == {True, False}
    assert all((row.refused is None) == (seconds[row.id] <= 0.005) for row in brought)
    assert summary.best.latency == {"latency@1x32": seconds[summary.best.candidate]}
    assert summary.evaluated == 2 and seconds[summary.best.candidate] <= 0.005
    assert essence(search(config(**settings, resume=True), scorer=HashScorer())) == essence(summary)


def test_latencies_of_a_warm_start_are_an_objective_like_others(config, tmp_path):
    search(config(iterations=8, out=tmp_path / "a"), scorer=HashScorer())
    two = {**options("pareto"), "objectives": "naswot,-latency@1x32", "warm_start": tmp_path / "a"}
    summary = search(config(**two, iterations=2), scorer=HashScorer())
    with Study.open(config().out) as study:
        measured = {row.candidate for row in study.scores("latency")}
        assert measured >= set(range(summary.at_the_beginning))
        assert len(study.best(100)) == study.count


def test_a_limit_on_latency_is_measured_before_anything_is_scored(config):
    summary = search(config(max_latency="10ms@1x32", iterations=10, max_repeats=1, repeats=1), scorer=HashScorer())
    assert summary.evaluated == 10 and summary.too_slow > 0
    assert summary.best.latency["latency@1x32"] <= 0.01 < summary.start.latency["latency@1x32"]
    study = Study.open(config().out)
    slow = {row.id for row in study.candidates() if row.refused}
    assert slow and not slow & {row.candidate for row in study.scores("search")}
    assert all("beyond max_latency = 10ms@1x32" in row.refused for row in study.candidates() if row.refused)
    seconds = {row.candidate: row.value for row in study.scores("latency")}
    assert slow == {candidate for candidate, value in seconds.items() if value > 0.01}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_limit_on_latency_that_nothing_meets_ends_the_search(config, coatnet, tmp_path, monkeypatch, asynchronous):
    """But the start; and it ends there after a kill, too."""
    monkeypatch.setattr("uninas.search.engine.OUT_OF_REACH", 12)
    measure, left = HashScorer.measure, math.inf

    def slow(self, genotype, phase, repeat, metrics):
        nonlocal left
        if (left := left - 1) < 0:
            raise KeyboardInterrupt
        seconds = 0.001 if genotype.key == coatnet.key else 0.01 + 0.001 * int(genotype.key[0], 16)
        found = measure(self, genotype, phase, repeat, metrics)
        return [replace(m, value=seconds) for m in found] if phase == "latency" else found

    monkeypatch.setattr(HashScorer, "measure", slow)
    settings = {**options("random"), "max_latency": "5ms@1x32", "asynchronous": asynchronous}
    whole = search(config(**settings, out=tmp_path / "whole"), scorer=HashScorer())
    assert whole.best.key == whole.start.key and (whole.evaluated, whole.too_slow) == (0, 12)
    nearest = min(row.value for row in Study.open(tmp_path / "whole").scores("latency") if row.candidate > 0)
    told = f"the fastest beyond max_latency = 5ms@1x32 took {1000 * nearest:.3g} ms"
    assert whole.stopped == f"12 networks in a row were beyond a limit on latency: {told}"
    left = 8
    with pytest.raises(Interrupted):
        search(config(**settings), scorer=HashScorer())
    left = math.inf
    assert essence(search(config(**settings, resume=True), scorer=HashScorer())) == essence(whole)
    assert contents(config().out) == contents(tmp_path / "whole")


def test_nor_may_the_start_be_beyond_it(config):
    with pytest.raises(StudyError, match=r"study.sqlite: no network has a score: 1\d\d networks .* took .* ms; begin"):
        search(config(max_latency="0.001ms@1x32"), scorer=HashScorer())


def test_latency_can_be_an_objective(config):
    summary = search(
        config(**{**options("pareto"), "objectives": "naswot,-latency@2x32"}, iterations=10), scorer=HashScorer()
    )
    assert len(summary.front) > 1 and all("latency@2x32" in found.latency for found in summary.front)
    points = [(found.search_score, -found.latency["latency@2x32"]) for found in summary.front]
    assert not any(a != b and a[0] >= b[0] and a[1] >= b[1] for a in points for b in points)
