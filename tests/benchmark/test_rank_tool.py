import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from .test_rank import ARCHS, write_table

TOOL = Path(__file__).parents[2] / "tools" / "rank.py"
SMALL = ["--batch", "3", "--size", "8", "--proxies", "params, logrank(params, naswot)"]


@pytest.fixture(scope="module")
def app():
    spec = importlib.util.spec_from_file_location("rank_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path / "table.csv", ARCHS)


def invoke(app, table: Path, *more: str):
    return CliRunner().invoke(app, ["--table", str(table), "--out", str(table.parent / "out"), *SMALL, *more])


def test_tables_and_files(app, table):
    result = invoke(app, table)
    assert result.exit_code == 0, result.output
    for text in ("c10", "c100", "Kendall", "Spearman", "nDCG", "logrank", "6 networks, 1 of them", "metrics.png"):
        assert text in result.output


def test_json(app, table):
    result = invoke(app, table, "--json", "--columns", "c100")
    data = json.loads(result.stdout)
    assert [r["column"] for r in data["results"]] == ["c100", "c100"]
    assert data["networks"] == 6
    assert all(Path(file).is_file() for file in data["files"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--proxies", "parms"], "did you mean 'params'"),
        (["--columns", "nope"], "choose from: c10, c100"),
        (["--table", "nope.csv"], "cannot be read"),
        (["--limit", "1"], "limit"),
        (["--batch", "0"], "batch"),
    ],
)
def test_wrong_usage(app, table, more, message):
    result = invoke(app, table, *more)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_refuses_another_setting_without_force(app, table):
    assert invoke(app, table).exit_code == 0
    result = invoke(app, table, "--batch", "4")
    assert result.exit_code == 2
    assert "batch was 3, now 4" in " ".join(result.output.split())
    assert invoke(app, table, "--batch", "4", "--force").exit_code == 0


def test_as_a_script(table):
    """A fresh process gives the scores of this one."""
    command = [
        sys.executable,
        str(TOOL),
        "--table",
        str(table),
        "--out",
        str(table.parent / "script"),
        *SMALL,
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["networks"] == 6
    assert not done.stderr
    failed = subprocess.run([*command, "--table", "nope.csv"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
