"""The demo: its steps are commands as they are today; what runs and fails. (All of it: `make demo`, ten minutes.)"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from uninas.cli import app
from uninas.cli.demo import DemoError, Steps
from uninas.cli.overrides import spread


def understood(words: list[str]) -> None:
    """Parses a command line as `uninas` does, without running it; wrong usage raises."""
    command, words = get_command(app), spread(words)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]  # type: ignore[attr-defined]
    command.make_context("uninas", words)


@pytest.fixture
def ran(monkeypatch) -> list[list[str]]:
    """The commands that the demo would run; each leaves what its step is to make."""
    found: list[list[str]] = []

    def run(self: Steps, title: str, command: list[str]) -> None:
        found.append(command)
        if command[0] == "export-backbone":
            folder = Path(command[command.index("--out") + 1])
            folder.mkdir()
            (folder / "config.py").touch()

    monkeypatch.setattr(Steps, "_run", run)
    return found


def test_every_step_is_a_command(ran, tmp_path):
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "a demo"), "--json"])
    assert done.exit_code == 0, done.output
    steps = json.loads(done.stdout)["steps"]
    assert [shlex.split(step["command"])[1:] for step in steps] == ran
    for words in ran:
        understood(words)
    assert {words[0] for words in ran} == {"search", "data", "race", "train", "export-backbone", "mm"}
    page = (tmp_path / "a demo" / "README.md").read_text()
    assert all(step["title"] in page and step["made"] in page for step in steps)


def test_what_it_prints_has_paths_from_where_it_runs(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["demo"])
    assert done.exit_code == 0 and str(tmp_path) not in done.output
    assert "  uninas data make digits --out runs/demo/digits\n" in done.stderr
    assert re.search(r"^Training on digits +0 s  runs/demo/digits-run/epoch_6.pth$", done.stdout, re.M)


def test_the_check_sees_a_command_of_yesterday():
    understood(["data", "make", "digits", "--out", "x"])
    with pytest.raises(Exception, match="No such option"):
        understood(["data", "make", "digits", "--to", "x"])


def test_what_is_there_is_not_made_again(ran, tmp_path):
    (tmp_path / "digits").mkdir()
    done = CliRunner().invoke(app, ["demo", str(tmp_path)])  # as tools/demo.py was called once
    assert done.exit_code == 0 and "Data: digits: there already" in done.stderr
    assert "digits" not in [words[2] for words in ran if words[0] == "data"]


def test_a_step_that_fails_shows_the_end_of_its_log(tmp_path):
    steps = Steps(tmp_path)
    with pytest.raises(DemoError, match=r"Counting failed, see .*1-counting\.log:\n(.*\n)*.*did you mean 'coatnet'"):
        steps.run("Counting", tmp_path / "none", "cost coatnett")
    steps.run("Counting", tmp_path / "none", "cost coatnet")
    assert "26,869,652" in (tmp_path / "logs" / "1-counting.log").read_text() and sys.executable not in steps.page()
