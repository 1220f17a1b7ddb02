"""Searches from settings to files: the same seed gives the same study, whatever kills it in between."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import uninas
from uninas.errors import ProxyError, SpaceError, StudyError
from uninas.genotype import Genotype
from uninas.search import Interrupted, Space, Study, Summary, search
from uninas.search.measurement import State
from uninas.search.strategies.random import RandomSearch
from uninas.search.study import FILE
from uninas.search.tidy import Removal

from .fakes import HashScorer

TESTS = Path(__file__).parents[1]
WALL_CLOCK = {"seconds", "files", "settings"}
STRATEGIES = ["walk", "evolution", "random", "pareto"]


def options(strategy: str) -> dict:
    """Settings under which each strategy does all that it can within a few evaluations."""
    if strategy == "pareto":
        several = {"objectives": "naswot,-params", "strategy_settings": {"population": 4}}
        return {"strategy": strategy, **several}
    settings = {
        "evolution": {"population": 4, "tournament": 2},
        "walk": {"strides": [1, 2], "scouts": 2},
        "random": {},
    }[strategy]
    return {"strategy": strategy, "strategy_settings": settings}


def contents(folder) -> dict:
    """All that a study holds, but times."""
    study = Study.open(folder)
    candidates = [{key: value for key, value in vars(row).items() if key != "seconds"} for row in study.candidates()]
    scores = [
        (s.candidate, s.metric, s.phase, s.repeat, s.value, s.state, s.seed)
        for phase in ("search", "leaders", "fresh")
        for s in study.scores(phase)
    ]
    state = study.meta("state")
    study.close()
    return {"candidates": candidates, "scores": sorted(scores, key=str), "state": state}


def essence(summary: Summary) -> dict:
    return summary.model_dump(exclude=WALL_CLOCK)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_same_seed_same_study(config, tmp_path, strategy):
    first = search(config(**options(strategy), iterations=12, out=tmp_path / "a"), scorer=HashScorer(failing=0.1))
    again = search(config(**options(strategy), iterations=12, out=tmp_path / "b"), scorer=HashScorer(failing=0.1))
    assert essence(first) == essence(again)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert first.evaluated == 12
    other = search(config(**options(strategy), iterations=12, out=tmp_path / "c", seed=1), scorer=HashScorer())
    assert other.best.key != first.best.key or other.leaders != first.leaders


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_real_scores_and_files(config, strategy):
    settings = config(**options(strategy), max_params="300K", min_params=0)
    summary = search(settings)
    best = Genotype.load(settings.out / "best.yaml")
    assert best.key == summary.best.key
    assert json.loads((settings.out / "summary.json").read_text())["best"]["key"] == best.key
    assert uninas.cost(best).params == summary.best.params <= 300_000
    assert summary.settings["versions"]["uninas"] == uninas.__version__
    assert summary.limits["max_params"] == 300_000
    study = Study.open(settings.out)
    for row in study.candidates():
        genotype = study.genotype(row.id)
        assert (genotype.key, uninas.cost(genotype).params) == (row.key, row.params)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_workers_change_nothing(config, tmp_path, strategy):
    one = search(config(**options(strategy), iterations=10, out=tmp_path / "one"), scorer=HashScorer(failing=0.1))
    two = search(
        config(**options(strategy), iterations=10, out=tmp_path / "two", workers=2), scorer=HashScorer(failing=0.1)
    )
    assert essence(one) == essence(two)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


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


def fail(monkeypatch, where) -> None:
    """Measurements at which `where(genotype, phase, repeat)` holds fail from now on."""
    measure = HashScorer.measure

    def fails_there(self, genotype, phase, repeat, metrics):
        found = measure(self, genotype, phase, repeat, metrics)
        if not where(genotype, phase, repeat):
            return found
        return [replace(m, value=None, state=State.FAILED, reason="not finite: made up") for m in found]

    monkeypatch.setattr(HashScorer, "measure", fails_there)


def test_a_failure_at_the_end_changes_nothing_of_the_search(config, monkeypatch):
    """What fails on fresh seeds was, and stays, scored in the search."""
    fail(monkeypatch, lambda genotype, phase, repeat: phase == "leaders" and repeat == 1)
    summary = search(config(iterations=9), scorer=HashScorer())
    assert summary.failed == 0
    assert summary.best.search_score is not None
    assert all(leader.score is None for leader in summary.leaders)


def test_a_start_without_a_fresh_score_leaves_the_gain_unknown(config, coatnet, monkeypatch):
    def of_the_start(genotype, phase, repeat):
        return phase == "fresh" and repeat == 1 and genotype.key == coatnet.key

    fail(monkeypatch, of_the_start)
    summary = search(config(iterations=9, tidy=True), scorer=HashScorer())
    assert summary.best.key != summary.start.key
    assert summary.best.score is not None and summary.start.score is None
    assert (summary.gain, summary.gain_se) == (None, None)
    assert [member.lead for member in summary.members] == [None]
    assert essence(search(config(iterations=9, tidy=True, resume=True), scorer=HashScorer())) == essence(summary)


def test_a_winner_without_a_fresh_score_is_not_tidied(config, monkeypatch):
    """The start cannot win in its place: it is beyond the limit."""
    fail(monkeypatch, lambda genotype, phase, repeat: phase == "fresh" and repeat == 1)
    settings = config(max_latency="10ms@1x32", iterations=9, tidy=True)
    summary = search(settings, scorer=HashScorer())
    assert Study.open(settings.out).candidate(summary.start.candidate).refused
    assert summary.best.key != summary.start.key and summary.best.score is None
    assert summary.gain is None and not summary.tidied


def test_what_is_cheap_to_know_is_known_where_a_score_failed(config, coatnet, monkeypatch):
    """Costs are exact in every repeat, whatever failed in it."""
    fail(monkeypatch, lambda genotype, phase, repeat: phase == "fresh" and repeat == 1 and genotype.key == coatnet.key)
    two = {"strategy": "pareto", "strategy_settings": {"population": 4}, "objectives": "-params,naswot"}
    summary = search(config(**two, iterations=9, fresh_repeats=3), scorer=HashScorer())
    assert summary.gain == summary.start.params - summary.best.params > 0


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


def test_several_starts_and_a_file_among_them(config, tmp_path, coatnet):
    path = tmp_path / "mine.yaml"
    coatnet.save(path)
    summary = search(config(start=f"resnet,{path},coatnet", iterations=3), scorer=HashScorer())
    assert summary.at_the_beginning == 2  # the file is the start coatnet
    everything = search(config(start=(), iterations=3, out=tmp_path / "all"), scorer=HashScorer())
    assert everything.at_the_beginning == 3


def test_starts_are_brought_into_the_limits(config, coatnet):
    params = uninas.cost(coatnet).params
    settings = config(max_params=round(0.8 * params), min_params=round(0.7 * params))
    summary = search(settings, scorer=HashScorer())
    assert summary.repaired == ["coatnet"]
    assert 0.7 * params <= summary.start.params <= 0.8 * params


def test_starts_that_cannot_be_scored_are_an_error(config):
    with pytest.raises(StudyError, match="no start can be scored by naswot: not finite: made up"):
        search(config(), scorer=HashScorer(failing=1.0))


def test_a_dead_end_is_not_the_end(config, tmp_path):
    """A space whose only moves are exhausted soon: the walk goes on elsewhere, and then says why it stops."""
    import yaml

    from .conftest import tiny_space

    path = tmp_path / "narrow.yaml"
    path.write_text(yaml.safe_dump(tiny_space(moves={"change_heads": 1.0}, attempts=50)))
    only = {"strides": [1, 2], "scouts": 0}
    settings = config(space=str(path), iterations=200, generation=2, strategy_settings=only)
    summary = search(settings, scorer=HashScorer())
    assert summary.stopped is not None and "nothing" in summary.stopped
    assert 2 < summary.evaluated < 200
    assert uninas.Genotype.load(tmp_path / "run" / "best.yaml").key == summary.best.key


def test_aggregates_guide_a_search(config):
    summary = search(config(proxy="uninas_agg", iterations=4))
    assert [member.metric for member in summary.members][:2] == ["params", "macs"]
    assert summary.best.score is not None and summary.best.score <= 0


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


@pytest.mark.parametrize("failing", ["coatnet", "resnet"])
def test_one_start_that_cannot_be_scored_ends_no_asynchronous_search(config, space, monkeypatch, failing):
    key = space.start(failing).key
    fail(monkeypatch, lambda genotype, phase, repeat: genotype.key == key)
    settings = {"strategy": "evolution", "start": "coatnet,resnet", "iterations": 6, "asynchronous": True}
    summary = search(config(**settings), scorer=HashScorer())
    assert summary.evaluated == 6 and summary.start.key != key
    state = Study.open(config().out).meta("state")
    assert summary.start.candidate in state["strategy"]["alive"]  # it was known when the population was begun


def test_starts_that_cannot_be_scored_are_an_error_in_an_asynchronous_search_too(config):
    settings = {**options("random"), "start": "coatnet,resnet", "asynchronous": True}
    for resume in (False, True):
        with pytest.raises(StudyError, match="no start can be scored by naswot: not finite: made up"):
            search(config(**settings, resume=resume), scorer=HashScorer(failing=1.0))


def test_what_is_complete_together_with_the_starts_is_told(config, monkeypatch):
    """As after a kill of an asynchronous search of an earlier version, which asked before the starts were measured."""
    told = []
    monkeypatch.setattr(RandomSearch, "tell", lambda self, view, results: told.extend(r.candidate for r in results))
    settings = {**options("random"), "iterations": 4, "asynchronous": True}
    search(config(**settings), scorer=HashScorer())
    first, told = told, []
    db = sqlite3.connect(config().out / FILE)
    with db:
        db.execute("UPDATE evaluations SET told = NULL")
    db.close()
    search(config(**settings, resume=True), scorer=HashScorer())
    assert sorted(told) == sorted(first) == [1, 2, 3, 4]


def test_settings_that_contradict_each_other(config):
    for changes, words in (
        ({"asynchronous": True}, "walk decides on whole generations"),
        ({"objectives": "naswot,-params"}, "use --strategy pareto"),
        ({"max_repeats": 1, "repeats": 2}, "max_repeats: 1 is below repeats = 2"),
        ({"strategy_settings": {"population": 3}}, "strategy_settings: population: unknown key"),
        ({"strategy": "wlak"}, "did you mean 'walk'"),
        ({"gpus_per_worker": 1}, "is for --ray"),
        ({"resume": True, "force": True}, "exclude each other"),
        ({"timeout": "soon"}, "not a time"),
    ):
        with pytest.raises(StudyError, match=words):
            config(**changes)
    with pytest.raises(ProxyError, match="did you mean 'vkdnw'"):
        config(proxy="vkdwn")
    with pytest.raises(SpaceError, match="no network can meet both"):
        config(max_params="1M", min_params="2M")


def test_unknown_starts_leave_nothing_behind(config):
    with pytest.raises(SpaceError, match="no start 'nope'"):
        search(config(start="nope"), scorer=HashScorer())
    assert not config().out.exists()


def test_a_warm_start_takes_scores_over(config, tmp_path):
    first = search(config(iterations=8, out=tmp_path / "a"), scorer=HashScorer())
    warm = search(config(iterations=4, out=tmp_path / "b", warm_start=tmp_path / "a", seed=7), scorer=HashScorer())
    assert warm.evaluated == 4
    assert warm.at_the_beginning >= 1 + first.evaluated
    rows = Study.open(tmp_path / "b").candidates()
    assert sum(row.origin is not None for row in rows if row.move != "tidy") == warm.at_the_beginning - 1
    with pytest.raises(StudyError, match="scored with proxy_size = 32"):
        search(config(iterations=4, out=tmp_path / "c", warm_start=tmp_path / "a", proxy_size=48), scorer=HashScorer())


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


def test_a_size_band_where_only_the_most_is_given(config, space_file):
    space = Space.load(space_file)
    assert space.size_band == 0.85
    assert config(max_params="200K").limits_in(space).min_params == 170_000
    assert config(max_params="200K", min_params=0).limits_in(space).given == {"max_params": 200_000}
    assert config(max_macs="10M").limits_in(space).min_macs == 8_500_000
    assert config(max_params="200K", max_macs="10M").limits_in(space).min_macs is None
    pareto = config(**options("pareto"), max_params="200K")
    assert pareto.limits_in(space).given == {"max_params": 200_000}


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


def test_the_winner_is_tidied_where_its_score_allows(config, coatnet):
    """A start with a dropout in it: whatever is found goes without."""
    from uninas.genotype import GraphBuilder

    b = GraphBuilder()
    where, _ = next(iter(coatnet.subblocks))
    littered = coatnet.with_graph(where, b.build(b.chain(b.input, ("conv", {"kernel": 3}), ("dropout", {"p": 0.5}))))
    path = config().out.parent / "littered.yaml"
    littered.save(path)
    summary = search(config(start=str(path), tidy=True, iterations=8, strategy_settings={"strides": [1], "scouts": 0}))
    assert summary.best.key != summary.start.key
    best = Genotype.load(config().out / "best.yaml")
    ops = {op.name for _, sub in best.subblocks for op in sub.graph.ops.values()}
    assert "dropout" not in ops
    assert summary.best.move == "tidy" or not summary.tidied
    again = search(
        config(start=str(path), tidy=True, iterations=8, strategy_settings={"strides": [1], "scouts": 0}, resume=True)
    )
    assert essence(again) == essence(summary)


def test_the_folder_of_the_front_holds_the_front_alone(config):
    """Also after a search went on, and without touching what is not a search's."""
    folder = config().out / "front"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("mine")
    fronts = []
    for changes in ({"iterations": 6}, {"iterations": 20, "resume": True}, {"iterations": 6, "seed": 1, "force": True}):
        summary = search(config(**options("pareto"), **changes), scorer=HashScorer())
        fronts.append({found.key for found in summary.front})
        assert {path.stem for path in folder.glob("*.yaml")} == {"mine", *(key[:12] for key in fronts[-1])}
    assert fronts[0] - fronts[1]  # some were beaten


@pytest.fixture
def tidying(monkeypatch):
    """In place of tidying, two winners with another head are tried and the first is kept, whose key this gives."""
    kept = []

    def instead(genotype, *, keeps, size):
        narrower, refused = (replace(genotype, head=replace(genotype.head, width=width)) for width in (16, 24))
        keeps(narrower)
        keeps(refused)  # the last one that was tried
        kept[:] = [narrower.key]
        return narrower, [Removal("head", "width", 1, 1, 0.0)]

    monkeypatch.setattr("uninas.search.final_evaluation.tidy", instead)
    return kept


def test_the_study_says_which_tidy_form_was_kept(config, tidying):
    summary = search(config(iterations=9, tidy=True), scorer=HashScorer())
    assert [summary.best.key] == tidying
    study = Study.open(config().out)
    tidied = [row for row in study.candidates() if row.move == "tidy"]
    assert [row.key == summary.best.key for row in tidied] == [True, False]
    assert study.meta("state")["tidy_forms"] == {str(tidied[0].parent): summary.best.candidate}
    assert essence(search(config(iterations=9, tidy=True, resume=True), scorer=HashScorer())) == essence(summary)


@pytest.mark.parametrize("seconds", [0.001, 1.0])
def test_a_tidy_form_meets_the_limits_on_latency(config, tidying, monkeypatch, seconds):
    measure = HashScorer.measure

    def timed(self, genotype, phase, repeat, metrics):
        found = measure(self, genotype, phase, repeat, metrics)
        tidy = phase == "latency" and genotype.head.width is not None
        return [replace(m, value=seconds) for m in found] if tidy else found

    monkeypatch.setattr(HashScorer, "measure", timed)
    summary = search(config(iterations=9, tidy=True, max_latency="10ms@1x32"), scorer=HashScorer())
    assert ([summary.best.key] == tidying) == bool(summary.tidied) == (seconds < 0.01)
    assert summary.best.latency["latency@1x32"] <= 0.01
    assert bool(Study.open(config().out).meta("state")["tidy_forms"]) == (seconds < 0.01)


def test_what_is_counted_alone_can_be_searched(config):
    """Nothing is measured then: the smallest network, by its declared costs."""
    summary = search(config(proxy="-params", iterations=8), scorer=HashScorer())
    assert summary.best.params == min(row.params for row in Study.open(config().out).candidates())
    assert summary.best.params < summary.start.params


def test_size_and_classes_are_the_spaces_own_unless_they_are_given(config):
    space = Space.load("uninas_tiny")
    own = config(space="uninas_tiny").resolved(space)
    assert (own.input_size, own.num_classes) == (32, 10)
    assert own.limits.cost(space.start("resnet")).macs == space.limits.cost(space.start("resnet")).macs
    given = config(space="uninas_tiny", input_size=64, num_classes=7).resolved(space)
    assert (given.limits_in(space).input_size, given.limits_in(space).num_classes) == (64, 7)
    assert config(space="uninas").limits_in(Space.load("uninas")).input_size == 224
