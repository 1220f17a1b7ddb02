"""A search that is ended goes on to what it would have been, whatever ended it; and nothing is overwritten."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import uninas
from uninas.errors import StudyError
from uninas.search import Interrupted, Study, search
from uninas.search.study import FILE

from .fakes import HashScorer
from .studies import STRATEGIES, contents, essence, options

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("after", [1, 7, 15])
def test_interrupted_and_resumed(config, tmp_path, monkeypatch, strategy, after):
    """As by Ctrl-C, after some scores."""
    whole = search(config(**options(strategy), iterations=12, out=tmp_path / "whole"), scorer=HashScorer(failing=0.1))
    settings = config(**options(strategy), iterations=12)
    calls = 0
    measure = HashScorer.measure

    def interrupted(self, *task):
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return measure(self, *task)

    with monkeypatch.context() as patch:
        patch.setattr(HashScorer, "measure", interrupted)
        with pytest.raises(Interrupted, match=r"of 12 networks.*--resume"):
            search(settings, scorer=HashScorer(failing=0.1))
    assert not (settings.out / "summary.json").exists()
    resumed = search(config(**options(strategy), iterations=12, resume=True), scorer=HashScorer(failing=0.1))
    assert essence(resumed) == essence(whole)
    assert contents(settings.out) == contents(tmp_path / "whole")


RUN = """
import sys; sys.path.insert(0, sys.argv[2])
from uninas.search import *; from search.fakes import HashScorer
search(SearchConfig.model_validate_json(sys.argv[1]), scorer=HashScorer(failing=.1, seconds=.01))
"""


def start_search(settings) -> subprocess.Popen:
    """The search in a process group of its own, with all its workers."""
    command = [sys.executable, "-W", "ignore", "-c", RUN, settings.model_dump_json(), str(TESTS)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)


def wait_for_scores(folder: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
        if not (folder / FILE).exists():
            continue
        try:
            db = sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)
            if db.execute("SELECT count(*) FROM measurements").fetchone()[0] >= count:
                return
        except sqlite3.OperationalError:  # not there yet, or being written
            continue
        finally:
            db.close()
    if process.poll() not in (None, 0):
        raise RuntimeError(process.stderr.read().decode())  # type: ignore[union-attr]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("strategy", ["walk", "evolution"])
def test_killed_and_resumed(config, tmp_path, strategy, workers):
    """kill -9 of the whole process group; benchmarks/kill_matrix.py does it at many moments."""
    scorer = HashScorer(failing=0.1, seconds=0.01)
    whole = search(config(**options(strategy), iterations=12, out=tmp_path / "whole"), scorer=scorer)
    settings = config(**options(strategy), iterations=12, workers=workers)
    process = start_search(settings)
    wait_for_scores(settings.out, 6, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    resumed = search(config(**options(strategy), iterations=12, resume=True), scorer=scorer)
    assert essence(resumed) == essence(whole)
    assert contents(settings.out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("strategy", ["evolution", "random", "pareto"])
def test_asynchronous_searches_finish_and_resume(config, tmp_path, strategy):
    scorer = HashScorer(failing=0.1, seconds=0.01)
    settings = config(**options(strategy), iterations=12, asynchronous=True, workers=2)
    process = start_search(settings)
    wait_for_scores(settings.out, 6, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    resumed = search(
        config(**options(strategy), iterations=12, asynchronous=True, workers=2, resume=True), scorer=scorer
    )
    assert resumed.evaluated == 12
    state = Study.open(settings.out)
    db = sqlite3.connect(settings.out / FILE)
    told = [row[0] for row in db.execute("SELECT told FROM evaluations ORDER BY told")]
    db.close()
    assert None not in told and sorted(told) == list(range(min(told), min(told) + len(told)))
    state.close()


@pytest.mark.parametrize("phase", ["search", "leaders", "fresh"])
@pytest.mark.parametrize("repeat", [0, 1])
def test_any_measurement_may_be_missing(config, tmp_path, phase, repeat):
    """As after a kill with two workers: a later repeat is there, an earlier one is not."""
    first = search(config(iterations=9), scorer=HashScorer())
    db = sqlite3.connect(tmp_path / "run" / FILE)
    with db:
        where = "phase = ? AND repeat = ? AND candidate = (SELECT min(candidate) FROM measurements WHERE phase = ?)"
        deleted = db.execute(f"DELETE FROM measurements WHERE {where}", ((code := phase_code(db, phase)), repeat, code))
        assert deleted.rowcount >= 1
    db.close()
    again = search(config(iterations=9, resume=True), scorer=HashScorer())
    if phase == "search":
        return  # it is told already: resuming must not fail, and the mean is that of what is there
    assert essence(again) == essence(first)


def phase_code(db, phase: str):
    """How the table `measurements` writes a phase."""
    (kind,) = db.execute("SELECT typeof(phase) FROM measurements LIMIT 1").fetchone()
    if kind == "text":
        return phase
    return db.execute("SELECT id FROM phases WHERE name = ?", (phase,)).fetchone()[0]


def test_a_search_goes_on_with_more_iterations(config, tmp_path):
    # 2 scouts and 2 or 4 generations of 3: an ask that the last iterations cut short would be another ask.
    first = search(config(iterations=8), scorer=HashScorer())
    more = search(config(iterations=14, resume=True), scorer=HashScorer())
    assert (first.evaluated, more.evaluated) == (8, 14)
    assert more.leaders[0].score is not None
    whole = search(config(iterations=14, out=tmp_path / "whole"), scorer=HashScorer())
    keys = [row.key for row in Study.open(tmp_path / "run").candidates() if row.move != "tidy"]
    assert keys == [row.key for row in Study.open(tmp_path / "whole").candidates() if row.move != "tidy"]
    assert essence(more) == essence(whole)


def test_a_search_goes_on_with_fewer_repeats_at_the_end(config, tmp_path):
    """What an earlier end measured on more seeds takes no part in a later one."""
    search(config(iterations=8, leader_repeats=5, fresh_repeats=6), scorer=HashScorer())
    more = search(config(iterations=14, resume=True), scorer=HashScorer())
    whole = search(config(iterations=14, out=tmp_path / "whole"), scorer=HashScorer())
    assert essence(more) == essence(whole)


def test_resuming_a_finished_study_repeats_its_summary(config):
    first = search(config(), scorer=HashScorer())
    again = search(config(resume=True), scorer=HashScorer())
    assert essence(first) == essence(again)


def test_what_decides_the_result_may_not_change(config, monkeypatch):
    search(config(), scorer=HashScorer())
    with pytest.raises(StudyError, match=r"seed: 0 in the study, 5 now"):
        search(config(resume=True, seed=5), scorer=HashScorer())
    with pytest.raises(StudyError, match=r"strategy_settings.strides"):
        search(config(resume=True, strategy_settings={"strides": [3], "scouts": 2}), scorer=HashScorer())
    search(config(resume=True, workers=2, timeout=60), scorer=HashScorer())  # how, not what
    monkeypatch.setattr("uninas.search.config.__version__", "99.0")
    with pytest.raises(StudyError, match=rf"versions.uninas: '{uninas.__version__}' in the study, '99.0' now"):
        search(config(resume=True), scorer=HashScorer())


def test_a_changed_space_file_is_refused(config, space_file, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(space_file.read_text())
    search(config(space=str(space)), scorer=HashScorer())
    space.write_text(space_file.read_text().replace("expansion: 8", "expansion: 6"))
    with pytest.raises(StudyError, match=r"space\..*expansion: 8.* in the study, 6"):
        search(config(space=str(space), resume=True), scorer=HashScorer())


def test_nothing_is_overwritten_without_force(config):
    settings = config()
    search(settings, scorer=HashScorer())
    before = contents(settings.out)
    with pytest.raises(StudyError, match=r"there is a study already; --resume continues it, --force replaces it"):
        search(config(seed=1), scorer=HashScorer())
    assert contents(settings.out) == before
    of_race = [config().out / name for name in ("best_by_score.yaml", "race.json")]
    for path in of_race:
        path.touch()
    search(config(seed=1, force=True), scorer=HashScorer())
    assert not any(path.exists() for path in of_race), "they are of the study that was replaced"
    assert contents(settings.out) != before


def test_results_without_a_study_are_not_overwritten(config):
    settings = config()
    settings.out.mkdir()
    (settings.out / "best.yaml").write_text("mine")
    with pytest.raises(StudyError, match=r"best.yaml is there already; --force"):
        search(settings, scorer=HashScorer())
    assert (settings.out / "best.yaml").read_text() == "mine"


def test_nor_are_results_beside_a_start_that_failed(config):
    settings = config()
    Study.create(settings.out, {}).close()  # nothing was measured
    (settings.out / "best.yaml").write_text("mine")
    with pytest.raises(StudyError, match=r"best.yaml is there already; --force"):
        search(settings, scorer=HashScorer())
    assert (settings.out / "best.yaml").read_text() == "mine"
