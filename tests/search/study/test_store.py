"""Writing a study: what is stored, what is refused, and that a refused change leaves nothing behind."""

from __future__ import annotations

import sqlite3

import pytest

from uninas.errors import StudyError
from uninas.genotype import Genotype
from uninas.search.measurement import State
from uninas.search.study import FILE, Candidate, Study
from uninas.search.study.lock import Lock

from .helpers import SETTINGS, STATE, candidate, chain, evaluation, failure, graph, network, value


@pytest.fixture
def study(tmp_path):
    with Study.create(tmp_path / "run", SETTINGS) as study:
        yield study


def dump(folder) -> list[str]:
    """All rows of a study, but times."""
    with sqlite3.connect(folder / FILE) as db:
        return [line for line in db.iterdump() if "'seconds'" not in line]


def test_what_is_stored_comes_back_after_a_restart(tmp_path):
    with Study.create(tmp_path, SETTINGS) as study:
        study.admit([candidate(0)], [evaluation(0, 0)], STATE)
        rows = [candidate(1, 0), candidate(2, 1, partner=0, move="crossover", origin="other/7")]
        study.admit(rows, [evaluation(1, 1), evaluation(2, 2, first_repeat=1, repeats=3)], {"asks": 2})
        study.record(1, "search", 0, [value("naswot", 0.1), failure("jacov", State.TIMED_OUT, "timed out: 3 s")])
        study.refuse(2, "30 ms are beyond max_latency")
        study.tell([1], {"asks": 3})
    with Study.resume(tmp_path, SETTINGS) as study:
        assert study.count == 3 and study.failed == 1
        assert study.meta("state") == {"asks": 3}
        assert [study.find(network(i).key) for i in range(4)] == [0, 1, 2, None]
        key = network(2).key
        refused = "30 ms are beyond max_latency"
        assert study.candidate(2) == Candidate(2, key, 1, 0, "crossover", 2, 102, 1002, "other/7", refused)
        assert list(study.rows()) == [study.candidate(i) for i in range(3)]
        for id in range(3):
            assert study.genotype(id).to_dict() == network(id).to_dict()
        assert study.pending() == [evaluation(0, 0), evaluation(2, 2, first_repeat=1, repeats=3)]
        measured = {"naswot": value("naswot", 0.1), "jacov": failure("jacov", State.TIMED_OUT, "timed out: 3 s")}
        assert study.measured(1, "search", 0) == measured
        assert study.measured(1, "search", 1) == study.measured(1, "fresh", 0) == study.measured(0, "search", 0) == {}
        found = sorted(study.all_measurements("search"))
        assert found == [
            (1, "jacov", "search", 0, None, State.TIMED_OUT),
            (1, "naswot", "search", 0, 0.1, State.MEASURED),
        ]
        assert list(study.all_measurements("fresh")) == []


def test_failures_of_the_search_are_counted_once_a_candidate(tmp_path):
    with Study.create(tmp_path, SETTINGS) as study:
        study.admit([candidate(0), candidate(1)], [], STATE)
        study.record(0, "fresh", 0, [failure("naswot")])
        assert study.failed == 0
        study.record(1, "search", 0, [failure("naswot"), failure("jacov")])
        study.record(1, "search", 1, [failure("naswot")])
        assert study.failed == 1
        study.admit([candidate(2)], [], STATE, [(2, "search", 0, [failure("naswot")])])  # one that brings it along
        assert study.failed == 2
    with Study.resume(tmp_path, SETTINGS) as study:
        assert study.failed == 2


def test_values_are_stored_exactly(study):
    study.admit([candidate(0)], [], STATE)
    values = [0.1 + 0.2, -1e-300, 5e300, -0.0]
    study.record(0, "search", 0, [value(f"m{i}", v) for i, v in enumerate(values)])
    assert [study.measured(0, "search", 0)[f"m{i}"].value for i in range(4)] == values


def test_equal_graphs_are_stored_once_and_the_first_form_is_the_form(tmp_path):
    other = network(1, prefix="other_")
    assert other.key == network(1).key and other.to_dict() != network(1).to_dict()
    with Study.create(tmp_path, SETTINGS) as study:
        assert study.intern(network(0)) is network(0)
        study.admit([candidate(0), candidate(1, 0, genotype=other)], [], STATE)
        forms = [study.genotype(i).to_dict() for i in range(2)]
        (shared,) = {sub.graph for _, sub in study.genotype(0).subblocks if sub.graph.key == graph(1).key}
        assert shared in {sub.graph for _, sub in study.genotype(1).subblocks}
    with Study.resume(tmp_path, SETTINGS) as study:
        assert [study.genotype(i).to_dict() for i in range(2)] == forms
        assert study.summary().graphs == 2
        interned = study.intern(network(1))
        assert interned.key == network(1).key and interned.to_dict() == {**forms[1], "name": "network 1"}
        assert study.intern(study.genotype(1)) is study.genotype(1)


def test_a_genotype_keeps_its_stem_head_and_frames(study):
    data = network(3).to_dict()
    data["stem"]["convs"] = [{"width": 16, "kernel": 4, "stride": 4, "bias": True, "norm": "layer"}]
    data["stages"][0]["downsample"] = {"kind": "patch"}
    data["stages"][0]["blocks"][0]["subblocks"][1] |= {"norm": None, "residual": False, "activation": "relu"}
    genotype = Genotype.from_dict(data)
    study.admit([candidate(0, genotype=genotype)], [], STATE)
    study._genotypes.clear()
    assert study.genotype(0).to_dict() == genotype.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.admit([candidate(7)], [], {}), "next candidate is 2, got 7"),
        (lambda s: s.admit([candidate(2), candidate(4)], [], {}), "next candidate is 3, got 4"),
        (lambda s: s.admit([candidate(2, genotype=network(0))], [], {}), "candidate 2 is the same network as 0"),
        (lambda s: s.admit([candidate(2), candidate(3, genotype=network(2))], [], {}), "3 is the same network as 2"),
        (lambda s: s.admit([candidate(2, parent=2)], [], {}), "CHECK"),
        (lambda s: s.admit([candidate(2, parent=None, partner=0)], [], {}), "CHECK"),
        (lambda s: s.admit([candidate(2)], [evaluation(9, 5)], {}), "FOREIGN KEY"),
        (lambda s: s.admit([candidate(2)], [evaluation(0, 2)], {}), "UNIQUE"),
        (lambda s: s.record(0, "search", 0, [value("jacov", 1), value("naswot", 1)]), "0, naswot: is measured already"),
        (lambda s: s.record(9, "fresh", 0, [value("jacov", 1)]), "candidate 9.*jacov: .*not valid|FOREIGN KEY"),
        (lambda s: s.record(0, "fresh", -1, [value("jacov", 1)]), "repeat -1, jacov: .*CHECK"),
        (lambda s: s.tell([1, 0], {}), "evaluation 0 is not there, or was told before"),
        (lambda s: s.tell([1, 1], {}), "evaluation 1 is not there"),
        (lambda s: s.tell([5], {}), "evaluation 5 is not there"),
        (lambda s: s.refuse(1, "again"), "candidate 1 is not there, or is refused already"),
        (lambda s: s.refuse(9, "slow"), "candidate 9 is not there"),
    ],
)
def test_a_change_that_is_refused_leaves_nothing_behind(study, change, message):
    study.admit([candidate(0), candidate(1, 0)], [evaluation(0, 0), evaluation(1, 1)], STATE)
    study.record(0, "search", 0, [value("naswot", 1)])
    study.refuse(1, "slow")
    study.tell([0], STATE)
    before = dump(study.folder)
    with pytest.raises(StudyError, match=message):
        change(study)
    assert dump(study.folder) == before
    study.admit([candidate(2), candidate(3)], [evaluation(2, 2)], STATE)  # and it goes on
    study.record(2, "fresh", 0, [value("jacov", 1)])
    study.tell([1, 2], STATE)
    assert study.count == 4 and study.pending() == []
    assert study.genotype(3).key == network(3).key


@pytest.mark.parametrize(
    "values",
    [
        "NULL, 'failed', NULL",
        "1.0, 'failed', 'both'",
        "1.0, 'failed', NULL",
        "NULL, 'measured', 'x'",
        "1.0, 'ok', NULL",
    ],
)
def test_the_file_holds_a_value_or_a_reason(study, values):
    study.admit([candidate(0)], [], STATE)
    study.record(0, "search", 0, [value("naswot", 1)])
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        study._db.execute(f"INSERT INTO measurements VALUES (0, 0, 1, 0, {values}, 1, 0.0)")


def test_the_order_of_telling_goes_on_after_a_restart(tmp_path):
    with Study.create(tmp_path, SETTINGS) as study:
        study.admit([candidate(i) for i in range(4)], [evaluation(i, i) for i in range(4)], STATE)
        study.tell([2, 0], STATE)
    with Study.resume(tmp_path, SETTINGS) as study:
        study.tell([3], STATE)
        assert study._rows("SELECT id, told FROM evaluations ORDER BY id") == [(0, 1), (1, None), (2, 0), (3, 2)]


def test_seconds_add_up_over_sessions(tmp_path):
    with Study.create(tmp_path, SETTINGS) as study:
        study.save({"a": 1})
        first = study.seconds
    with Study.resume(tmp_path, SETTINGS) as study:
        assert study.seconds == first > 0
        study.set_meta({"note": [1, "two"]})
        assert study.seconds > first and study.meta("note") == [1, "two"] and study.meta("state") == {"a": 1}
        assert study.meta("nothing") is None


def test_changed_settings_are_refused_with_the_difference(tmp_path):
    chain(tmp_path, 1).close()
    changed = {**SETTINGS, "iterations": 9, "space": {"name": "tiny", "limits": {"expansion": 6}}, "new": (1, 2)}
    with pytest.raises(
        StudyError, match=r"configuration has changed.*:\n  iterations: 5 in the study, 9 now\n"
    ) as info:
        Study.resume(tmp_path, changed)
    assert "\n  new: None in the study, [1, 2] now" in str(info.value)
    assert "\n  space.limits.expansion: 8 in the study, 6 now" in str(info.value)
    with pytest.raises(StudyError, match=r"space\.limits\.expansion") as info:
        Study.resume(tmp_path, changed, may_change={"iterations", "new"})
    assert "iterations" not in str(info.value)
    with Study.resume(tmp_path, changed, may_change={"iterations", "space", "new"}) as study:
        assert study.settings == {**changed, "new": [1, 2]}
    Study.resume(tmp_path, changed).close()


def test_of_many_changed_settings_the_first_are_shown(tmp_path):
    chain(tmp_path, 1).close()
    with pytest.raises(StudyError, match=r"new1: None in the study, 1 now(.|\n)*\n  and 12 more$"):
        Study.resume(tmp_path, {**SETTINGS, **{f"new{i}": i for i in range(20)}})


@pytest.mark.parametrize("found", [value("naswot", 0.1), failure("naswot")])
def test_nothing_is_replaced_without_force(tmp_path, found):
    with Study.create(tmp_path, SETTINGS) as study:
        study.admit([candidate(0), candidate(1)], [evaluation(0, 0)], STATE)
        study.record(0, "search", 0, [found])
    with pytest.raises(StudyError, match="there is a study already; --resume continues it, --force replaces it"):
        Study.create(tmp_path, SETTINGS)
    with Study.resume(tmp_path, SETTINGS) as study:
        assert study.count == 2
    with Study.create(tmp_path, SETTINGS, force=True) as study:
        assert study.count == 0


def test_a_start_that_failed_before_anything_was_measured_is_replaced(tmp_path):
    with Study.create(tmp_path, SETTINGS) as study:
        study.admit([candidate(0), candidate(1)], [evaluation(0, 0)], STATE)
    with Study.create(tmp_path, {**SETTINGS, "seed": 7}) as study:
        assert study.count == 0 and study.settings["seed"] == 7


def test_a_file_that_is_no_study_is_not_replaced(tmp_path):
    for content in (b"mine", b"mine" * 1024):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(StudyError, match="--force replaces it"):
            Study.create(tmp_path, SETTINGS)
        assert (tmp_path / FILE).read_bytes() == content


def test_a_replaced_study_leaves_no_log_for_the_new_one(tmp_path):
    study = chain(tmp_path / "a", 3)
    log = (tmp_path / "a" / f"{FILE}-wal").read_bytes()
    study.close()
    assert log
    (tmp_path / "a" / f"{FILE}-wal").write_bytes(log)  # as a killed process leaves it
    with Study.create(tmp_path / "a", SETTINGS, force=True) as study:
        assert study.count == 0


def test_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(StudyError, match="there is no study to resume; start it without --resume"):
        Study.resume(tmp_path / "nothing", SETTINGS)
    (tmp_path / FILE).touch()
    with pytest.raises(StudyError, match="there is no study to resume"):
        Study.resume(tmp_path, SETTINGS)
    Study.create(tmp_path, SETTINGS).close()  # an empty file is no study either


def test_one_process_writes_at_a_time(tmp_path):
    with (
        chain(tmp_path, 1),
        pytest.raises(StudyError, match="another process is searching"),
    ):
        Study.resume(tmp_path, SETTINGS)
    Study.resume(tmp_path, SETTINGS).close()


def test_a_failed_start_lets_others_in(tmp_path):
    chain(tmp_path, 1).close()
    with pytest.raises(StudyError, match="changed"):
        Study.resume(tmp_path, {})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE).write_bytes(b"not a database at all, but long enough to be looked at by SQLite")
    with pytest.raises(StudyError, match="is it a study"):
        Study.resume(tmp_path / "other", SETTINGS)
    for folder in (tmp_path, tmp_path / "other"):
        Lock(folder).release()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(StudyError, match="cannot make the folder"):
            Study.create(folder, SETTINGS)
