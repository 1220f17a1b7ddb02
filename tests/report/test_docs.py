"""What docs/report.md, and the lines to copy in a report, tell to type can be typed."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

import uninas
from report.test_commands import run
from uninas.cli import app
from uninas.search import Study

ROOT = Path(__file__).resolve().parents[2]


def commands() -> list[str]:
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)).splitlines()
    return [line for line in lines if line.startswith("uninas")]


@pytest.fixture(scope="module")
def folder(study, evolved, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(study, folder / "runs" / "first")
    shutil.copytree(evolved, folder / "runs" / "second")
    with Study.open(study) as opened:
        (folder / "results.csv").write_text(f"key,accuracy\n{opened.candidate(3).key[:8]},71.5\n")
    return folder


@pytest.mark.parametrize("line", [line for line in commands() if "uninas search" not in line])
def test_every_command_runs(line, folder, monkeypatch):
    monkeypatch.chdir(folder)
    code, _, output = run(*shlex.split(line, comments=True)[1:])
    assert code == 0, output


def test_pictures_are_there():
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    for name in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text):
        assert (ROOT / "docs" / name).is_file(), name


def test_lines_to_copy_have_options_that_exist():
    text = (ROOT / "uninas" / "report" / "html" / "assets" / "page.js").read_text(encoding="utf-8")
    found = re.findall(r"`uninas ([a-z-]+) ([^`]*)`", text)
    assert {name for name, _ in found} == {"draw", "train", "export-backbone"}
    group = typer.main.get_command(app)
    for name, rest in found:
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, name


def test_the_python_to_copy_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    text = (ROOT / "uninas" / "report" / "html" / "assets" / "page.js").read_text(encoding="utf-8")
    (code,) = re.findall(r'code\("Build it in Python", `(.*?)`\)', text)
    scope: dict = {}
    exec(code.replace("\\n", "\n").replace("${JSON.stringify(file)}", '"runs/first/best.yaml"'), scope)
    assert isinstance(scope["g"], uninas.Genotype) and len(scope["backbone"].channels) == 4
