"""Version-1 studies can be read for ever; assets/study_v1 was written by the uninas of that version."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from uninas.errors import StudyError
from uninas.search.measurement import State
from uninas.search.study import FILE, Study
from uninas.search.study.migrate import ORIGINAL

ASSET = Path(__file__).parent.parent / "assets" / "study_v1"
BEST = "4b6be6b962d7a4115ffcb13b56b30486b6f6132d6d15244de4e3eec6e4335490"


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(ASSET, tmp_path / "run"))


def facts(study) -> tuple:
    """All that reading gives, but the folder."""
    genotypes = [study.genotype(row.id).to_dict() for row in study.rows()]
    return study.candidates(), study.scores(), study.scores("leaders"), study.scores("fresh"), genotypes, study.best()


def test_it_is_read_as_one_of_this_version(folder):
    before = (folder / FILE).read_bytes()
    with Study.open(folder) as study:
        assert study.count == 6
        assert [row.parent for row in study.rows()] == [None, 0, 0, 0, 0, 3]
        assert [row.ask for row in study.rows()] == [0, 1, 1, 2, 2, 3]
        assert all(study.genotype(row.id).key == row.key for row in study.rows())
        # The start: four scores of the beginning, and those of two generations, in order.
        start = [study.measured(0, "search", repeat)["naswot"] for repeat in range(10)]
        assert [m.value for m in start[3:5]] == pytest.approx([38.1572394142948, 38.1772814974028])
        assert len({m.seed for m in start}) == 10
        assert study.measured(0, "search", 10) == {}
        best = study.best(1)[0]
        assert best.candidate.key == BEST
        assert best.scores == pytest.approx([38.26266215141364])  # the search_score of that version's summary.json
        assert len(study.scores("leaders")) == len(study.scores("fresh")) == 4
        summary = study.summary()
        assert (summary.at_the_beginning, summary.evaluated, summary.waiting) == (1, 5, 0)
        assert summary.settings["proxy"] == "naswot" and summary.seconds == pytest.approx(0.96, abs=0.01)
    assert (folder / FILE).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_failures_and_what_was_waiting(folder):
    with sqlite3.connect(folder / FILE) as db:
        for id, why in ((1, "not finite: inf"), (4, "worker died")):
            db.execute("UPDATE scores SET value = NULL, failure = ? WHERE candidate = ?", (why, id))
        db.execute("DELETE FROM scores WHERE candidate = 5")
    study = Study.open(folder)
    assert [(row.candidate, row.state, row.reason) for row in study.failures()] == [
        (1, State.FAILED, "not finite: inf"),
        (4, State.LOST, "worker died"),
    ]
    summary = study.summary()
    assert summary.failed == {"not finite": 1, "worker died": 1}
    assert (summary.evaluated, summary.waiting) == (4, 1)


def test_it_is_migrated_but_not_resumed(folder):
    with Study.open(folder) as study:
        before, original = facts(study), (folder / FILE).read_bytes()
    with pytest.raises(StudyError, match=rf"written by another version \(the original is now {ORIGINAL}\).*warm-start"):
        Study.resume(folder, {})
    assert (folder / ORIGINAL).read_bytes() == original
    with Study.open(folder) as study:
        assert facts(study) == before
    with pytest.raises(StudyError, match="was written by another version, so it can be read"):
        Study.resume(folder, {})
    assert sorted(path.name for path in folder.iterdir()) == [".lock", FILE, ORIGINAL]


def test_an_original_is_never_replaced(folder):
    (folder / ORIGINAL).write_text("mine")
    with pytest.raises(StudyError, match="is there already"):
        Study.resume(folder, {})
    assert (folder / ORIGINAL).read_text() == "mine"
    assert (folder / FILE).read_bytes() == (ASSET / FILE).read_bytes()


def test_a_damaged_row_is_said(folder):
    with sqlite3.connect(folder / FILE) as db:
        db.execute("UPDATE candidates SET genotype = '{' WHERE id = 2")
    before = (folder / FILE).read_bytes()
    with pytest.raises(StudyError, match="a row of this version-1 study is damaged"):
        Study.open(folder)
    with pytest.raises(StudyError, match="is damaged"):
        Study.resume(folder, {})
    assert (folder / FILE).read_bytes() == before and not (folder / ORIGINAL).exists()
