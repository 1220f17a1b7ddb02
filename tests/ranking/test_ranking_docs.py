"""What docs/ranking.md shows to type is understood, and its table of one's own is what the room takes."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

from uninas.cli import app
from uninas.ranking import tables

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "ranking.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^uninas rank .*", TEXT, re.M)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line):
    rank = typer.main.get_command(app).commands["rank"]
    context = rank.make_context("rank", shlex.split(line, comments=True)[2:])
    assert context.params["proxy"] and context.params["out"]


def test_every_option_is_real():
    rank = typer.main.get_command(app).commands["rank"]
    known = {name for parameter in rank.params for name in parameter.opts}
    written = set(re.findall(r"`(--[a-z-]+)`", TEXT.partition("## What is printed")[0]))
    assert len(COMMANDS) >= 4 and len(written) >= 15
    assert written <= known


def test_kinds_of_tables():
    listed = re.findall(r"^\| `(\w+)` \|", TEXT.partition("## Tables")[2], re.M)
    assert set(listed) == set(tables.benchmarks())


def test_the_example_names_what_there_is():
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    for call in calls:
        kind = getattr(tables, call.func.id)
        keywords = {keyword.arg for keyword in call.keywords}
        assert keywords <= set(kind.__dataclass_fields__), call.func.id
    assert {call.func.id for call in calls} == {"Benchmark", "Column", "Inputs", "Table"}
