"""A writer that is killed at any moment leaves a study that is consistent, and goes on."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

import pytest

from uninas.errors import StudyError
from uninas.search.study import FILE, Study

from .helpers import SETTINGS, candidate, evaluation, network, value

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of this process")
METRICS, REPEATS, TOGETHER = ("jacov", "naswot"), 2, 3


def search(folder) -> None:
    """An endless search: it asks, measures and tells, from wherever the study stands."""
    exists = (folder / FILE).exists()
    with Study.resume(folder, SETTINGS) if exists else Study.create(folder, SETTINGS) as study:
        while True:
            for waiting in study.pending():
                for repeat in range(REPEATS):
                    known = study.measured(waiting.candidate, "search", repeat)
                    missing = [value(metric, waiting.candidate) for metric in METRICS if metric not in known]
                    if missing:
                        study.record(waiting.candidate, "search", repeat, missing)
            waiting = [evaluation.id for evaluation in study.pending()]
            state = study.meta("state") or {"told": 0, "asked": 0}
            study.tell(waiting, {**state, "told": state["told"] + len(waiting)})
            first = study.count
            new = [candidate(first + i, first - 1 if first else None) for i in range(TOGETHER)]
            asked = [evaluation(c.id, c.id, repeats=REPEATS) for c in new]
            study.admit(new, asked, {"told": study.meta("state")["told"], "asked": first + TOGETHER})


def check(folder) -> int:
    """Whole transactions are there and nothing else; returns how many candidates."""
    with Study.resume(folder, SETTINGS) as study:
        assert study._rows("PRAGMA integrity_check") == [("ok",)]
        assert study._rows("PRAGMA foreign_key_check") == []
        count, waiting = study.count, {evaluation.candidate for evaluation in study.pending()}
        state = study.meta("state") or {"told": 0, "asked": 0}
        assert state == {"asked": count, "told": count - len(waiting)}
        assert count % TOGETHER == 0 and [row.id for row in study.rows()] == list(range(count))
        told = study._rows("SELECT told FROM evaluations WHERE told IS NOT NULL ORDER BY told")
        assert told == [(i,) for i in range(count - len(waiting))]
        for row in study.rows():
            assert study.genotype(row.id).key == row.key == network(row.id).key
            for repeat in range(REPEATS):
                found = study.measured(row.id, "search", repeat).keys()
                assert found == set(METRICS) or (not found and row.id in waiting)
    return count


def test_killed_again_and_again(tmp_path):
    rng, counts = random.Random(0), [0]
    fork = multiprocessing.get_context("fork")
    for _ in range(15):
        process = fork.Process(target=search, args=(tmp_path,))
        process.start()
        assert process.pid is not None
        deadline = time.monotonic() + 60
        while not (tmp_path / FILE).exists() and rng.random() < 0.9 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if (tmp_path / FILE).exists():
            counts.append(check(tmp_path))
    assert counts == sorted(counts)
    assert counts[-1] > 20


def test_a_killed_creation_leaves_no_study(tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uninas.search.study.database.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Study.create(tmp_path, SETTINGS)
    monkeypatch.undo()
    with pytest.raises(StudyError, match="there is no study to resume"):
        Study.resume(tmp_path, SETTINGS)
    Study.create(tmp_path, SETTINGS).close()
