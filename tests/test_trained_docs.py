"""The commands of docs/trained.md have the options and settings that it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from uninas.engine.race.config import RaceConfig
from uninas.engine.tabulate.config import TabulateConfig

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "trained.md").read_text(encoding="utf-8")
WRITTEN = re.findall(r"^(?:.*`)?(uninas (?:race|tabulate) [^`\n]*--[^`\n]*)", PAGE, re.M)


@pytest.mark.parametrize("line", WRITTEN)
def test_commands_are_valid(line: str) -> None:
    _, command, *words = shlex.split(line.replace("...", ""))
    settings: dict = {"studies": []} if command == "race" else {}
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            flag = not words or words[0].startswith("--")
            settings[word.removeprefix("--").replace("-", "_")] = True if flag else words.pop(0)
        else:
            settings["studies"].append(word)
    if command == "race":
        settings.pop("out", None)
        RaceConfig.parse({"protocol": "tiny_digits", "data_root": "data", **settings})
    else:
        TabulateConfig.parse(settings)


def test_both_commands_are_shown() -> None:
    assert {line.split()[1] for line in WRITTEN} == {"race", "tabulate"}


def test_options_that_are_named_exist() -> None:
    known = {f"--{name.replace('_', '-')}" for model in (RaceConfig, TabulateConfig) for name in model.model_fields}
    others = {"--set"}
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) <= known | others | {"--out", "--data-root", "--protocol"}
