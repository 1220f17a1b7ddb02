"""`uninas draw`, `diff`, `report` and the report of a search, as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
import sys

import pytest
from typer.testing import CliRunner

import uninas
from report.conftest import ROOT
from uninas.cli import app
from uninas.errors import UninasError
from uninas.report.html.write import write
from uninas.search import Study


def run(*words: object) -> tuple[int, str, str]:
    """(exit code, standard output, message of the error)."""
    found = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(found.exception, UninasError):  # `main` prints these
        return found.exception.exit_code, found.stdout, str(found.exception)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stdout, found.output


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    uninas.blocks.network("coatnet", widths=(8, 16, 32, 32), depths=(1, 1, 1, 1)).save(path)
    return path


def test_draw(tmp_path, small):
    code, out, _ = run("draw", small, "--out", tmp_path / "net.svg", "--input-size", "64")
    assert code == 0 and "8 x 1" in out and "at 64 × 64" in (tmp_path / "net.svg").read_text()
    code, out, _ = run("draw", "resnet", "--out", tmp_path / "wide.svg", "--width", "17", "--json")
    assert code == 0 and json.loads(out)["width_cm"] == 17
    code, _, message = run("draw", "resnet", "--out", tmp_path / "net.svg")
    assert code == 1 and "--force" in message
    assert run("draw", "resnet", "--out", tmp_path / "net.svg", "--force")[0] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [("net.jpeg", ".svg"), ("none/net.svg", "folder that exists"), ("", "one of .svg, .png, .pdf")],
)
def test_draw_where_it_cannot(tmp_path, name, message):
    code, _, found = run("draw", "resnet", "--out", tmp_path / name)
    assert code == 1 and message in found
    assert list(tmp_path.iterdir()) == []


def test_draw_names_what_is_no_network(tmp_path):
    code, _, message = run("draw", "resnot", "--out", tmp_path / "net.svg")
    assert code == 2 and "did you mean 'resnet'" in message
    code, _, message = run("draw", "convnext", "--input-size", "2", "--out", tmp_path / "net.svg")
    assert code == 2 and "smaller than" in message and not list(tmp_path.iterdir())


def test_show_drawing():
    code, out, _ = run("show", "resnet", "--drawing")
    assert code == 0 and re.search(r"│ +conv 3×3 +│", out)


def test_show_passes():
    code, out, _ = run("show", "coatnet", "--passes")
    counts = dict(re.findall(r"^([A-Z]\d*)  (\w+ \d.*|nothing to rewrite)$", out, re.M))
    assert code == 0 and "nothing to rewrite" in counts.values()
    assert any("fuse_attention 1" in text for text in counts.values())
    code, out, _ = run("show", "coatnet", "--passes", "--json")
    found = json.loads(out)["rewrites"]
    assert set(found) == set(counts)
    for letter, text in counts.items():
        assert text == (", ".join(f"{k} {v}" for k, v in found[letter].items() if v) or "nothing to rewrite")


def test_diff(tmp_path, small):
    code, out, _ = run("diff", "coatnet", "vit", "--out", tmp_path / "vit.svg")
    assert code == 0 and "26.87M -> 26.40M" in out
    assert re.search(r"^~ stages\[0\].blocks\[0\].subblocks\[1\] and 4 others .*another graph", out, re.M)
    drawn = (tmp_path / "vit.svg").read_text()
    assert "what differs from coatnet" in drawn and 'class="marked"' in drawn
    code, out, _ = run("diff", small, small)
    assert code == 0 and "no difference" in out
    code, out, _ = run("diff", "coatnet", "vit", "--json")
    found = json.loads(out)
    assert found["changes"][0].keys() == {"where", "kind", "what"}
    assert found["params"]["after"] == uninas.cost(uninas.blocks.network("vit")).params
    assert run("diff", "coatnet", "nothing.yaml")[0] == 2


def test_report_of_one_and_of_several(study, evolved, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(study, folder)
    code, out, _ = run("report", folder)
    assert code == 0 and str(folder / "report.html") in out
    text = (folder / "report.html").read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text), "everything is inside"
    code, out, _ = run("report", folder, evolved, "--out", tmp_path / "both.html", "--json")
    found = json.loads(out)
    assert code == 0 and found["runs"] == [str(folder), str(evolved)] and found["bytes"] < 3e6
    assert (tmp_path / "both.html").stat().st_size == found["bytes"]


def test_a_report_replaces_a_report_and_nothing_else(study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(study, folder)
    assert run("report", folder)[0] == 0 and run("report", folder)[0] == 0
    (tmp_path / "mine.html").write_text("<html>mine</html>")
    code, _, message = run("report", folder, "--out", tmp_path / "mine.html")
    assert code == 1 and "--force" in message and (tmp_path / "mine.html").read_text() == "<html>mine</html>"
    assert run("report", folder, "--out", tmp_path / "mine.html", "--force")[0] == 0


def test_report_where_it_cannot(study, tmp_path):
    assert "no study here" in run("report", tmp_path)[2]
    assert "no such folder" in run("report", tmp_path / "none")[2]
    assert "folder that exists" in run("report", study, "--out", tmp_path / "none" / "a.html")[2]
    assert list(tmp_path.iterdir()) == []


def test_a_study_of_an_earlier_version(tmp_path):
    shutil.copytree(ROOT / "tests" / "search" / "assets" / "study_v1", tmp_path / "old")
    code, out, _ = run("report", tmp_path / "old", "--json")
    assert code == 0 and json.loads(out)["candidates"] > 0


def test_a_study_without_any_candidate(study, tmp_path):
    with Study.open(study) as opened:
        settings = opened.settings
    Study.create(tmp_path / "empty", settings).close()
    code, out, _ = run("report", tmp_path / "empty", "--json")
    assert code == 0 and json.loads(out)["candidates"] == 0


def test_titles_are_text_not_markup(study, tmp_path):
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(study, folder)
    write([folder])
    text = (folder / "report.html").read_text()
    assert "<img" not in text and "&lt;img src=x" in text


SEARCH = ["search", "--space", "uninas_tiny", "--iterations", "2", "--strategy", "random", "--proxy", "naswot"]
SEARCH += ["--repeats", "1", "--max-repeats", "1", "--leader-repeats", "2", "--fresh-repeats", "2", "--leaders", "1"]
SEARCH += ["--proxy-size", "16", "--proxy-batch", "2", "--workers", "1", "--no-tidy", "--start", "resnet"]


def test_a_search_ends_with_its_report(tmp_path):
    code, out, _ = run(*SEARCH, "--out", tmp_path / "run")
    assert code == 0 and str(tmp_path / "run" / "report.html") in out
    assert (tmp_path / "run" / "report.html").is_file()
    code, out, _ = run(*SEARCH, "--out", tmp_path / "bare", "--no-report")
    assert code == 0 and "report.html" not in out and not (tmp_path / "bare" / "report.html").exists()


@pytest.mark.parametrize("fault", ["missing package", "bug"])
def test_a_report_that_fails_does_not_fail_a_search(tmp_path, monkeypatch, fault):
    if fault == "bug":

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("made up")

        monkeypatch.setattr("uninas.report.html.write.write", broken)
    else:
        monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    code, _, output = run(*SEARCH, "--out", tmp_path / "run", "--json")
    assert code == 0 and (tmp_path / "run" / "best.yaml").is_file()
    assert "no report: " in output and ("made up" if fault == "bug" else "uninas-toolkit[report]") in output
