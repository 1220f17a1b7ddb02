"""Reading a study: what it says, while it is written, where nothing can be written, and what is no study."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from uninas.errors import ProxyError, StudyError
from uninas.search.measurement import State
from uninas.search.study import FILE, Study

from .helpers import SETTINGS, STATE, candidate, chain, evaluation, failure, network, value


@pytest.fixture
def folder(tmp_path):
    """Four networks with scores, one that failed, one over a limit, one that waits."""
    with chain(tmp_path, 4) as study:
        rows = [candidate(4, 3), candidate(5, 3), candidate(6, 1, partner=2, move="crossover")]
        study.admit(rows, [evaluation(i, i) for i in (4, 5, 6)], STATE)
        study.record(4, "search", 0, [failure("naswot", reason="not finite: the scores are inf")])
        study.record(0, "fresh", 0, [failure("naswot", State.LOST, "worker died: signal 9, twice")])
        study.refuse(5, "30 ms are beyond max_latency")
        study.record(0, "search", 1, [value("naswot", 10.0)])
        study.tell([4, 5], STATE)
    return tmp_path


def test_the_summary_counts(folder):
    with Study.open(folder) as study:
        summary = study.summary()
    assert (summary.candidates, summary.at_the_beginning, summary.evaluated) == (7, 1, 4)
    assert (summary.waiting, summary.refused, summary.failed) == (1, 1, {"not finite": 1})
    assert (summary.duplicates, summary.over_limits, summary.measurements, summary.graphs) == (3, 2, 7, 7)
    assert summary.seconds > 0 and summary.settings == SETTINGS and summary.stopped is None


def test_measurements_in_rows(folder):
    study = Study.open(folder / FILE)  # the file itself will do
    rows = study.scores()
    assert [(row.candidate, row.repeat, row.value) for row in rows] == [
        (0, 0, 0.0),
        (0, 1, 10.0),
        (1, 0, 1.0),
        (2, 0, 2.0),
        (3, 0, 3.0),
        (4, 0, None),
    ]
    assert rows[0].metric == "naswot" and rows[0].seed == 2**63 - 1 and rows[0].seconds == 0.5
    assert rows[5].state is State.FAILED and rows[5].reason == "not finite: the scores are inf"
    assert [(row.candidate, row.phase, row.state) for row in study.failures()] == [
        (0, "fresh", State.LOST),
        (4, "search", State.FAILED),
    ]
    assert study.scores("leaders") == []
    assert study.metrics("search") == ["naswot"] and study.metrics("latency") == []


def test_the_best(folder):
    study = Study.open(folder)
    assert [(row.candidate.id, row.scores) for row in study.best()] == [
        (0, (5.0,)),
        (3, (3.0,)),
        (2, (2.0,)),
        (1, (1.0,)),
    ]
    assert [row.candidate.id for row in study.best(2)] == [0, 3]
    assert [row.candidate.id for row in study.best(1, "-params")] == [0]
    with pytest.raises(ProxyError, match="naswot"):
        study.best(1, "naswott")


def test_what_is_refused_has_no_rank(tmp_path):
    with chain(tmp_path, 3) as study:
        study.refuse(2, "too slow")
        assert [row.candidate.id for row in study.best()] == [1, 0]


def test_reading_leaves_no_files(folder):
    before = sorted(folder.iterdir())
    with Study.open(folder) as study:
        study.summary()
    assert sorted(folder.iterdir()) == before


def test_the_best_by_an_aggregate(tmp_path):
    with Study.create(tmp_path, {"proxy": "logrank(naswot, jacov)"}) as study:
        study.admit([candidate(i) for i in range(3)], [], STATE)
        for id, (a, b) in enumerate([(1, 1), (3, 2), (2, 3)]):
            study.record(id, "search", 0, [value("naswot", a), value("jacov", b)])
        best = study.best()
    assert [row.candidate.id for row in best] == [1, 2, 0]
    assert best[0].scores[0] == pytest.approx(math.log(3 / 3) + math.log(2 / 3))


def test_the_front(tmp_path):
    with chain(tmp_path, 3, {"proxy": "naswot", "objectives": "naswot,-params"}) as study:
        study.admit([candidate(3, params=1000), candidate(4)], [], STATE)
        study.record(3, "search", 0, [value("naswot", 1.5)])  # larger than 2, and worse
        assert [row.candidate.id for row in study.front()] == [2, 1, 0]
        assert study.front()[0].scores == (2.0, -102.0)
        assert [row.candidate.id for row in study.front("naswot,params")] == [2, 3]


def test_a_study_without_scores_or_objective(tmp_path):
    with Study.create(tmp_path, {}) as study:
        assert study.candidates() == [] and study.best(3, "naswot") == [] and study.front("naswot,-params") == []
        with pytest.raises(StudyError, match="name no objective"):
            study.best()


def test_lineages_by_the_beginning_of_a_key(folder):
    study = Study.open(folder)
    assert [row.id for row in study.lineage(study.candidate(3).key)] == [0, 1, 2, 3]
    assert [row.id for row in study.lineage(study.candidate(6).key[:10].upper())] == [0, 1, 6]
    assert [row.id for row in study.lineage(0)] == [0]
    assert study.genotype(network(5).key[:12]) == network(5)
    assert study.resolve(network(5).key[:11]) == 5  # an odd number of digits


def test_keys_that_name_no_candidate_or_several(tmp_path):
    with chain(tmp_path, 40) as study:
        keys = [network(i).key for i in range(40)]
        first = next(k[0] for k in keys if sum(other[0] == k[0] for other in keys) > 1)
        with pytest.raises(
            StudyError, match=rf"several keys begin with '{first}': {first}.*candidate \d+.*more digits"
        ):
            study.lineage(first)
        wrong = keys[7][:6] + ("0" if keys[7][6] != "0" else "1")
        with pytest.raises(StudyError, match=f"begins with '{wrong}'; near ones: {keys[7][:12]}"):
            study.genotype(wrong)
        for text in ("", "xyz", "12 3", keys[0] + "0"):
            with pytest.raises(StudyError, match="is not a key; write the first digits"):
                study.resolve(text)
        for call in (study.genotype, study.candidate, study.lineage):
            with pytest.raises(StudyError, match="there is no candidate 40; there are 40"):
                call(40)


def test_reading_does_not_wait_for_a_writer_and_sees_what_is_committed(tmp_path):
    with chain(tmp_path, 2) as writer, Study.open(tmp_path) as reader:
        half = reader.all_measurements()
        assert next(half)[0] == 0  # in the middle of reading
        writer.admit([candidate(2, 1)], [evaluation(2, 2)], {"first": 1})
        writer.record(2, "search", 0, [value("naswot", 9.0), value("jacov", 1.0)])
        assert [row[0] for row in half] == [1]  # as it was when reading began
        assert reader.count == 3 and reader.best(1)[0].candidate.id == 2
        assert reader.summary().waiting == 1 and reader.genotype(2) == network(2)
        writer._db.execute("BEGIN EXCLUSIVE")
        writer._db.execute("DELETE FROM measurements")
        assert len(reader.scores()) == 4
        writer._db.execute("ROLLBACK")


def test_a_reader_cannot_write_and_takes_no_lock(tmp_path):
    chain(tmp_path, 1).close()
    with Study.open(tmp_path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM candidates")
    with Study.open(tmp_path), Study.resume(tmp_path, SETTINGS) as writer:
        assert writer.count == 1


def test_a_copy_without_the_log(tmp_path):
    with chain(tmp_path / "a", 3):
        (tmp_path / "b").mkdir()
        shutil.copy(tmp_path / "a" / FILE, tmp_path / "b")
    with Study.open(tmp_path / "b") as study:  # what was in the file then
        assert study.count <= 3 and study.settings == SETTINGS
    (tmp_path / "c").mkdir()
    shutil.copy(tmp_path / "a" / FILE, tmp_path / "c")  # it was closed
    assert Study.open(tmp_path / "c").count == 3


def read_as_nobody(folder: Path, answer) -> None:
    """Reads as a user who may not write."""
    try:
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        with Study.open(folder) as study:
            answer.put([study.count, len(study.scores()), study.genotype(2).key])
    except Exception as error:
        answer.put(repr(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="reads in a fork of this process")
@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_that_cannot_be_written(killed):
    with tempfile.TemporaryDirectory() as name:
        study = chain(Path(name, "run"), 3)
        folder = Path(name, "copy")
        if not killed:
            study.close()
        shutil.copytree(study.folder, folder, ignore=shutil.ignore_patterns("*-shm"))
        study.close()
        assert (folder / f"{FILE}-wal").exists() == killed
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        Path(name).chmod(0o755)
        before = sorted(folder.iterdir())
        fork = multiprocessing.get_context("fork")
        answer = fork.SimpleQueue()
        process = fork.Process(target=read_as_nobody, args=(folder, answer))
        process.start()
        process.join()
        assert answer.get() == [3, 3, network(2).key]
        assert sorted(folder.iterdir()) == before
        folder.chmod(0o755)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no study here"),
        (b"", "no such table|is it a study"),
        (b"not a database at all, but long enough to be looked at by SQLite", "not a database.*is it a study"),
        (b"SQLite format 3\0" + bytes(90), "study.sqlite: .*is it a study"),
    ],
)
def test_what_is_no_study(tmp_path, content, message):
    with pytest.raises(StudyError, match="there is no such folder"):
        Study.open(tmp_path / "nowhere")
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StudyError, match=message):
        Study.open(tmp_path)


def test_another_database_and_another_version(tmp_path):
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("CREATE TABLE t (x)")
    for function in (Study.open, lambda folder: Study.resume(folder, SETTINGS)):
        with pytest.raises(StudyError, match="is it a study"):
            function(tmp_path)
    chain(tmp_path / "a", 1).close()
    with sqlite3.connect(tmp_path / "a" / FILE) as db:
        db.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    for function in (Study.open, lambda folder: Study.resume(folder, SETTINGS)):
        with pytest.raises(StudyError, match="reads studies of versions 1 and 2, this is 99"):
            function(tmp_path / "a")


def test_damaged_rows_are_named(tmp_path):
    chain(tmp_path, 2).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE candidates SET skeleton = x'00' WHERE id = 1")
        db.execute("UPDATE meta SET value = '{' WHERE name = 'settings'")
    study = Study.open(tmp_path)
    assert study.genotype(0) == network(0)
    with pytest.raises(StudyError, match=r"the network of candidate 1 is damaged"):
        study.genotype(1)
    with pytest.raises(StudyError, match=r"meta\.settings is damaged"):
        _ = study.settings


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_file_that_was_cut(tmp_path, kept):
    chain(tmp_path, 40).close()
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(StudyError, match=r"study\.sqlite: .*is it a study"):
        study = Study.open(tmp_path)
        study.summary(), study.best(), [study.genotype(i) for i in range(40)]


def test_a_person_can_read_scores_with_sqlite(folder):
    with sqlite3.connect(folder / FILE) as db:
        found = db.execute("SELECT key, phase, metric, value FROM scores WHERE candidate = 3").fetchall()
    assert found == [(network(3).key, "search", "naswot", 3.0)]
    assert json.loads(db.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()[0]) == 2
