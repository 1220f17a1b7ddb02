"""`uninas study` and what it exports."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from uninas.cli.common import run
from uninas.cli.study import study as command
from uninas.errors import StudyError
from uninas.search.study import FILE, Study
from uninas.search.study.export import write_csv

from .helpers import STATE, candidate, chain, evaluation, failure, network, value

ASSET = Path(__file__).parent.parent / "assets" / "study_v1"
SETTINGS = {
    "strategy": "pareto",
    "proxy": "naswot",
    "objectives": "naswot,-params,latency",
    "max_params": 30_000_000,
    "max_latency": [0.02, 1, 224, 224],
    "space": {"name": "tiny"},
}
LATENCY = "latency@1x224"


@pytest.fixture
def folder(tmp_path):
    """Three networks with all objectives, one that failed, one that is too slow."""
    with chain(tmp_path / "run", 3, SETTINGS) as study:
        for id in range(3):
            study.record(id, "latency", 0, [value(LATENCY, 0.01)])
        study.record(1, "search", 1, [value("naswot", 2.0)])
        study.admit([candidate(3, 2), candidate(4, 2)], [evaluation(i, i) for i in (3, 4)], STATE)
        study.record(3, "search", 0, [failure("naswot")])
        study.record(4, "latency", 0, [value(LATENCY, 0.05)])
        study.refuse(4, "50 ms are beyond max_latency")
        study.tell([3, 4], STATE)
    return tmp_path / "run"


@pytest.fixture
def uninas(capsys):
    """Runs `uninas study ...`: exit code, standard output, standard error."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(command)

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit:
            run(app, [str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(exit.value.code or 0), out, err

    return call


def test_what_it_is_and_the_best(uninas, folder):
    code, text, _ = uninas(folder)
    assert code == 0
    for part in (
        "space tiny, max_params 30.00M, max_latency 20ms, strategy pareto",
        "evaluated  3 networks in",
        "1 at the beginning, 1 refused, 3 duplicates, 2 over the limits",
        "failed     1 not finite",
        "the best 3",
        network(2).key[:12],
    ):
        assert part in text
    code, text, _ = uninas(folder, "--top", 1)
    assert "the best 1" in text and network(0).key[:12] not in text


def test_as_json(uninas, folder):
    code, text, _ = uninas(folder, "--json", "--top", 2)
    found = json.loads(text)
    assert code == 0 and found["candidates"] == 5 and found["failed"] == {"not finite": 1}
    assert [(row["id"], row["scores"]) for row in found["best"]] == [(2, {"naswot": 2.0}), (1, {"naswot": 1.5})]
    found = json.loads(uninas(folder, "--json", "--front")[1])
    assert found["front"][0]["scores"] == {"naswot": 2.0, "-params": -102.0, "latency": -0.01}
    found = json.loads(uninas(folder, "--json", "--lineage", network(2).key[:8])[1])
    assert [row["id"] for row in found["lineage"]] == [0, 1, 2]


def test_the_front_and_a_lineage(uninas, folder):
    code, text, _ = uninas(folder, "--front")
    assert code == 0 and "3 that nothing beats in all objectives" in text and "-102" in text
    code, text, _ = uninas(folder, "--lineage", network(1).key[:8])
    assert code == 0 and "start" in text and "insert" in text and network(2).key[:12] not in text


def test_before_there_is_a_score(uninas, tmp_path):
    with Study.create(tmp_path, {"proxy": "naswot"}):
        code, text, _ = uninas(tmp_path)  # the search is still at it
    assert code == 0 and "evaluated  0 networks" in text and "no candidate has a score yet" in text


def test_a_study_of_version_1(uninas):
    code, text, _ = uninas(ASSET, "--top", 2)
    assert code == 0 and "evaluated  5 networks" in text and "4b6be6b962d7" in text


def test_export(uninas, folder, tmp_path):
    path = tmp_path / "all.csv"
    code, text, _ = uninas(folder, "--out", path)
    assert code == 0 and text.strip() == f"wrote {path}: 5 candidates"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert rows[1] == {
        "id": "1",
        "key": network(1).key,
        "parent": "0",
        "partner": "",
        "move": "insert",
        "ask": "1",
        "origin": "",
        "params": "101",
        "macs": "1001",
        "refused": "",
        "objective naswot": "1.5",
        "objective -params": "-101.0",
        "objective latency": "-0.01",
        "naswot": "1.5",
        "naswot repeats": "2",
        LATENCY: "0.01",
        f"{LATENCY} repeats": "1",
        "failures": "",
    }
    assert rows[3]["failures"] == "naswot: not finite" and rows[3]["objective naswot"] == rows[3]["naswot"] == ""
    assert rows[4]["refused"] == "50 ms are beyond max_latency" and rows[4]["naswot repeats"] == "0"


def test_export_of_a_race(uninas, folder, tmp_path):
    metric = "top1@tiny_digits:3"
    with Study.resume(folder, SETTINGS) as study:
        study.record(1, "race", 0, [value(metric, 90.0)])
        study.record(1, "race", 1, [value(metric, 91.0)])
        study.record(2, "race", 0, [failure(metric, reason="error: diverged")])
    assert uninas(folder, "--out", tmp_path / "all.csv")[0] == 0
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row[metric] for row in rows] == ["", "90.5", "", "", ""]
    assert [row[f"{metric} repeats"] for row in rows] == ["0", "2", "0", "0", "0"]
    assert rows[2]["failures"] == f"{metric}: error" and rows[1]["naswot"] == "1.5"


def test_export_replaces_nothing_without_force(uninas, folder, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("mine")
    code, _, err = uninas(folder, "--out", path)
    assert code == 1 and err == f"error: {path}: is there already; --force replaces it\n"
    assert path.read_text() == "mine"
    code, text, _ = uninas(folder, "--out", path, "--force", "--json")
    assert code == 0 and json.loads(text) == {"out": str(path), "candidates": 5}
    assert path.read_text() != "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.csv", "run"]
    code, _, err = uninas(folder, "--out", tmp_path / "nowhere" / "a.csv")
    assert code == 1 and "cannot write" in err


def test_an_export_that_fails_leaves_nothing(folder, tmp_path):
    with Study.open(folder) as study:
        study._db.close()
        with pytest.raises(StudyError, match="closed"):
            write_csv(study, tmp_path / "a.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_errors_are_one_line(uninas, folder, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / FILE).write_bytes(b"SQLite format 3\0" + bytes(500))
    for arguments, message in (
        ((tmp_path / "nowhere",), "there is no such folder"),
        ((tmp_path,), "there is no study here"),
        ((damaged,), "is it a study"),
        ((folder, "--lineage", "xyz"), "is not a key"),
        ((folder, "--lineage", "0" * 12), "no candidate's key begins with"),
    ):
        code, out, err = uninas(*arguments)
        assert code == 1 and not out and message in err and err.count("\n") == 1
    for arguments in ((folder, "--front", "--lineage", "aa"), (folder, "--top", 0), ()):
        assert uninas(*arguments)[0] == 2


def test_help_reads_like_documentation():
    app = typer.Typer(add_completion=False)
    app.command()(command)
    text = CliRunner().invoke(app, ["--help"]).output
    assert "Shows a study" in text and "--lineage" in text
