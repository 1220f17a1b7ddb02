import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uninas.cli import app

from .tables import tabulated
from .test_rank import ARCHS, write_table

TOOL = Path(__file__).parents[2] / "tools" / "rank.py"
SMALL = ["--batch", "3", "--input-size", "8", "--proxy", "params, logrank(params, naswot)"]


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path / "table.csv", ARCHS)


def invoke(table: Path, *more: str):
    return CliRunner().invoke(app, ["rank", "--table", str(table), "--out", str(table.parent / "out"), *SMALL, *more])


def test_tables_and_files(table):
    result = invoke(table)
    assert result.exit_code == 0, result.output
    for text in ("c10", "c100", "Kendall", "Spearman", "nDCG", "given size", "top 5 %", "lead over macs", "depth",
                 "logrank", "6 networks, 1 of them", "metrics.png"):  # fmt: skip
        assert text in result.output
    assert "scoring: 0/5" in result.stderr and "scoring: 5/5" in result.stderr
    assert max(map(len, result.stdout.splitlines()[:10])) <= 132


def test_json(table):
    result = invoke(table, "--json", "--task", "c100", "--reference", "params")
    data = json.loads(result.stdout)
    assert [r["column"] for r in data["results"]] == ["c100"] * 4
    assert [r["proxy"] for r in data["results"]] == ["params", "logrank(params, naswot)", "macs", "depth"]
    assert "judging: 0/4" in result.stderr and "judging: 4/4" in result.stderr
    assert data["references"] == ["params"]
    assert [list(result["leads"]) for result in data["results"]] == [[], ["params"], ["params"], ["params"]]
    assert set(data["results"][1]["leads"]["params"]) == set(data["results"][1]["metrics"])
    assert data["networks"] == 6
    assert all(Path(file).is_file() for file in data["files"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--proxy", "parms"], "did you mean 'params'"),
        (["--task", "nope"], "choose from: c10, c100"),
        (["--half", "judg"], "did you mean 'judge'"),
        (["--benchmark", "nasbench101"], "did you mean 'nasbench201'"),
        (["--reference", "parms"], "did you mean 'params'"),
        (["--table", "nope.csv"], "cannot be read"),
        (["--limit", "1"], "limit"),
        (["--batch", "0"], "batch"),
    ],
)
def test_wrong_usage(table, more, message):
    result = invoke(table, *more)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_tabulated_space(tmp_path):
    folder = tabulated.write(tmp_path / "table")
    words = ["rank", "--table", str(folder), "--proxy", "naswot", "--out", str(tmp_path / "out"), "--batch", "4"]
    result = CliRunner().invoke(app, [*words, "--input-size", "16", "--task", "a", "--json"])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert (data["networks"], data["setting"]["benchmark"], data["setting"]["size"]) == (7, "uninas_tiny", 16)
    assert {r["column"] for r in data["results"]} == {"a", "a_loss"}
    assert "a second training" in {r["proxy"] for r in data["results"]}


def test_refuses_another_setting_without_force(table):
    assert invoke(table).exit_code == 0
    result = invoke(table, "--batch", "4")
    assert result.exit_code == 2
    assert "batch was 3, now 4" in " ".join(result.output.split())
    assert invoke(table, "--batch", "4", "--force").exit_code == 0


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
    lines = [line.split(" ", 1)[1].split(",")[0] for line in done.stderr.splitlines()]
    assert {"scoring: 0/5", "scoring: 5/5", "judging: 0/8", "judging: 8/8"} <= set(lines)
    assert all(line.startswith(("scoring: ", "judging: ")) for line in lines)
    failed = subprocess.run([*command, "--table", "nope.csv"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
