"""What docs/search.md shows to type and to write is typed and written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import uninas
from uninas.search import SearchConfig, Study, search
from uninas.search.strategies import STRATEGIES

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/search.md", "README.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def commands(first_words: str) -> list[list[str]]:
    lines = "\n".join(block for page in PAGES for block in blocks(page, "bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith(first_words)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a user stands who has searched: runs/first is a small study."""
    folder = tmp_path_factory.mktemp("user")
    start = folder / "start.yaml"
    uninas.blocks.network("coatnet", widths=(16, 16, 32, 32), depths=(1, 1, 1, 1), input_size=64).save(start)
    few = {"iterations": 4, "fresh_repeats": 2, "leader_repeats": 2, "max_repeats": 2, "workers": 1, "proxy": "naswot"}
    search(SearchConfig.parse({"out": folder / "runs" / "first", "start": str(start), "proxy_size": 32, **few}))
    return folder


def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess:
    words = [sys.executable, "-c", "from uninas.cli import main; main()", *words[1:]]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("words", commands("uninas study"), ids=shlex.join)
def test_a_study_is_looked_into(words: list[str], folder: Path) -> None:
    done = run(words, folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", commands("uninas search"), ids=shlex.join)
def test_settings_of_every_search_are_valid(words: list[str]) -> None:
    """The searches themselves take minutes: their options are read as the command reads them."""
    settings: dict = {"strategy_settings": {}}
    options = iter(words[2:])
    for option in options:
        name, _, value = option.removeprefix("--").partition("=")
        value = value or next(options)
        if name == "set":
            key, _, setting = value.partition("=")
            settings["strategy_settings"][key] = setting
        else:
            settings[name.replace("-", "_")] = value
    config = SearchConfig.parse(settings)
    assert uninas.search.Space.load(config.space).starts


def test_the_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    scope: dict = {}
    try:
        for block in blocks("docs/search.md", "python"):
            exec(compile(block, "docs/search.md", "exec"), scope)
        config = {"out": folder / "climbed", "strategy": "climber", "iterations": 3, "generation": 2, "workers": 1}
        few = {"fresh_repeats": 2, "leader_repeats": 2, "max_repeats": 1, "proxy": "naswot", "proxy_size": 32}
        start = {"start": str(folder / "start.yaml")}
        assert search(SearchConfig.parse({**config, **few, **start})).evaluated == 3
    finally:
        STRATEGIES.pop("climber", None)
    assert isinstance(scope["study"], type(Study.open(folder / "runs" / "first")))
