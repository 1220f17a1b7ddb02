"""What a report reads from studies."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from report.conftest import make_study
from uninas.errors import StudyError
from uninas.report.collect import collect, labels
from uninas.report.html.facts import tiles_of
from uninas.report.progress import summary_lines
from uninas.report.statistics import correlations, moves_of
from uninas.search import Study
from uninas.search.summary import Member, Summary


@pytest.fixture
def report(study):
    found = collect([study])
    yield found
    found.close()


def test_scores_are_those_of_the_study(report, study):
    with Study.open(study) as opened:
        ranked = opened.best(1000)
        assert report.table.count == opened.count
    assert {row.candidate.id: row.scores[0] for row in ranked} == {
        int(row): report.scores[row, 0] for row in np.flatnonzero(np.isfinite(report.scores[:, 0]))
    }


def test_winner_and_start_are_those_of_the_summary(report, study):
    summary = json.loads((study / "summary.json").read_text())
    (run,) = report.runs
    assert run.finished is not None
    assert (report.best(run), report.start(run)) == (summary["best"]["candidate"], summary["start"]["candidate"])


def test_while_a_search_runs_the_best_so_far_stands_in(study, tmp_path):
    shutil.copytree(study, tmp_path / "running")
    (tmp_path / "running" / "summary.json").unlink()
    report = collect([tmp_path / "running"])
    (run,) = report.runs
    assert run.finished is None
    assert report.best(run) == int(np.nanargmax(report.scores[:, 0]))
    assert report.start(run) in range(run.state["starts"])
    report.close()


def test_a_summary_of_fewer_evaluations_is_out_of_date(study, tmp_path):
    """As while a finished search is extended."""
    shutil.copytree(study, tmp_path / "extended")
    path = tmp_path / "extended" / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps({**summary, "evaluated": summary["evaluated"] - 4}))
    report = collect([tmp_path / "extended"])
    assert report.runs[0].finished is None
    report.close()


def test_failures_have_their_reasons(report):
    assert report.failed, "the made-up scorer fails now and then"
    assert all(math.isnan(report.scores[row, 0]) for row in report.failed)
    assert set(report.failed.values()) <= {"naswot: not finite", "synflow: not finite"}


def test_errors_are_of_networks_with_repeats(report, study):
    known = np.flatnonzero(np.isfinite(report.errors))
    assert len(known) and (report.errors[known] >= 0).all()
    with Study.open(study) as opened:
        for row in map(int, known):
            assert opened.measured(row, "search", 1)


def test_moves_add_up(report):
    (run,) = report.runs
    rows = {row["move"]: row for row in moves_of(report, run)}
    tried = sum(len(set((c.move or "").split(" + "))) for c in run.candidates[run.begun :])
    assert sum(row["tried"] for row in rows.values()) == tried
    for row in rows.values():
        assert row["tried"] >= max(row["better"], row["kept"], row["failed"])
    accepted = {run.candidates[row - run.first].move for row in run.trail}
    kept = {move for move, row in rows.items() if row["kept"]}
    assert kept == {part for move in accepted if move for part in move.split(" + ")}
    space = run.summary.settings["space"]["moves"]
    assert set(space) <= set(rows), "moves that were never tried are there too"


def test_correlations_are_spearmans(report):
    stats = pytest.importorskip("scipy.stats")
    names, matrix = correlations(report)
    assert names[:3] == ["score", "params", "MACs"] and {"naswot", "synflow"} <= set(names)
    columns = {"naswot": report.metrics["naswot"], "MACs": report.table.column_of("macs")}
    both = np.isfinite(columns["naswot"])
    expected = stats.spearmanr(columns["naswot"][both], columns["MACs"][both]).statistic
    assert matrix[names.index("naswot")][names.index("MACs")] == pytest.approx(expected)


def test_runs_that_were_measured_alike_are_ranked_together(study, evolved):
    report = collect([study, evolved])
    assert report.common and [run.label for run in report.runs] == ["walk", "evolved"]
    first, second = report.runs
    assert second.first == len(first.candidates)
    alone = collect([evolved])
    joint = report.scores[second.first :, 0]
    assert np.isfinite(joint).sum() == np.isfinite(alone.scores[:, 0]).sum()
    assert not np.allclose(joint, alone.scores[:, 0], equal_nan=True), "ranks are among all networks"
    report.close()
    alone.close()


def test_runs_that_were_not_keep_their_own_scores(study, tmp_path):
    other = make_study(tmp_path / "other", proxy="jacov", iterations=8)
    report = collect([study, other])
    assert not report.common
    for folder, run in zip((study, other), report.runs):
        alone = collect([folder])
        rows = slice(run.first, run.first + len(run.candidates))
        np.testing.assert_array_equal(report.scores[rows, 0], alone.scores[:, 0])
        np.testing.assert_array_equal(report.errors[rows], alone.errors)
        alone.close()
    report.close()


def test_labels_tell_folders_apart(tmp_path):
    assert labels([tmp_path / "a" / "x", tmp_path / "b" / "x"]) == ["a/x", "b/x"]
    assert labels([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    with pytest.raises(StudyError, match="named twice"):
        labels([tmp_path / "a", tmp_path / "b" / ".." / "a"])


def test_the_machine_is_there(report):
    assert report.runs[0].study.machine.keys() == {"system", "processor", "cores", "python"}


def test_trained_results_join_by_the_beginning_of_the_key(study, tmp_path):
    with Study.open(study) as opened:
        key = opened.candidate(5).key
    path = tmp_path / "trained.csv"
    path.write_text(f"key,task,seed,accuracy,failure\n{key[:10]},digits,0,80,\n{key},digits,1,90,\nffff,digits,0,1,\n")
    report = collect([study], path)
    column = report.metrics["accuracy (digits)"]
    assert column[5] == 85 and np.isfinite(column).sum() == 1
    report.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column `key`"),
        ("name,accuracy\na,1\n", "column `key`"),
        ("key,accuracy\n,1\n", "line 2"),
        ("key,accuracy\nffffffffffff,1\n", "none of its keys"),
        ("key,accuracy\nffffffffffff,high\n", "none of its keys"),
    ],
)
def test_trained_results_that_cannot_be_used(study, tmp_path, text, message):
    path = tmp_path / "trained.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=message) as error:
        collect([study], path)
    assert str(path) in str(error.value)


def test_what_is_no_study(tmp_path, study):
    with pytest.raises(StudyError, match="no study here"):
        collect([study, tmp_path])
    with pytest.raises(StudyError, match="cannot be read"):
        collect([study], tmp_path / "none.csv")


def test_a_summary_that_is_damaged(study, tmp_path):
    shutil.copytree(study, tmp_path / "damaged")
    (tmp_path / "damaged" / "summary.json").write_text("{}")
    with pytest.raises(StudyError, match=r"summary\.json: cannot be read"):
        collect([tmp_path / "damaged"])


def test_nothing_is_written(study, tmp_path):
    shutil.copytree(study, tmp_path / "copy")
    path = tmp_path / "copy" / "study.sqlite"
    before = path.read_bytes()
    collect([tmp_path / "copy"]).close()
    assert path.read_bytes() == before
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("content", ["", '{"best": ', "{}", "\0\xff"])
def test_a_summary_that_was_cut_off_is_named_with_a_remedy(study, tmp_path, content):
    shutil.copytree(study, tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text(content)
    with pytest.raises(StudyError, match=r"summary.json: cannot be read: it is damaged.*--resume"):
        collect([tmp_path / "run"])


def test_the_end_of_a_search_says_worse_where_a_metric_is(study):
    summary = Summary.model_validate_json((study / "summary.json").read_text())
    member = Member(metric="jacov", best=-16.202, start=-16.1898, lead=-0.01222, lead_se=0.02417)
    lines = summary_lines(summary.model_copy(update={"members": [member]}))
    (line,) = (line for line in lines if "jacov" in line)
    assert line.endswith("-16.1898 -> -16.202          worse by 0.01222 +- 0.02417")


def test_a_gain_that_could_not_be_measured_is_said_to_be_unknown(report):
    (run,) = report.runs
    assert run.finished is not None
    unknown = run.finished.model_copy(update={"gain": None, "gain_se": None})
    assert "gain   unknown: a score on fresh seeds failed" in summary_lines(unknown)
    tiles = tiles_of(report, replace(run, finished=unknown))
    assert tiles[0][2] == "against the start unknown: a score on fresh seeds failed"
