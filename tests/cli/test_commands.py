"""The commands as a user runs them: in a process of their own, looking at output and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import uninas
from uninas.cli import read_genotype

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """`uninas ARGUMENTS` in a new process."""
    code = "from uninas.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd or ROOT, timeout=300
    )


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """A tiny network's file."""
    path = tmp_path / "tiny.yaml"
    uninas.blocks.network("coatnet", widths=(16, 16, 32, 32), depths=(1, 1, 1, 1), input_size=64).save(path)
    return path


def test_cost_counts_what_the_library_counts(tiny_file: Path) -> None:
    done = command("cost", str(tiny_file), "--input-size", "96x64", "--classes", "7", "--json")
    expected = uninas.cost(uninas.Genotype.load(tiny_file), (96, 64), 7)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert (printed["params"], printed["macs"]) == (expected.params, expected.macs)
    assert printed["input_size"] == [96, 64]


def test_cost_of_a_known_network_as_text() -> None:
    done = command("cost", "coatnet")
    assert done.returncode == 0
    assert "26,869,652" in done.stdout and "4,213,122,048" in done.stdout


def test_show_names_each_graph_once_and_adds_up(tiny_file: Path) -> None:
    done = command("show", str(tiny_file), "--json")
    rows = json.loads(done.stdout)["rows"]
    assert rows[-1]["params"] == sum(row["params"] for row in rows[:-1])
    text = command("show", str(tiny_file), "--code").stdout
    assert "matmul1" in text and "def forward(self, x)" in text
    assert text.count("dwconv5") == 1


def test_validate_reports_good_and_bad_files(tiny_file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(tiny_file.read_text().replace("op: dwconv, kernel: 5", "op: dwconv, kernel: 4"))
    done = command("validate", str(tiny_file), str(broken))
    assert done.returncode == 2
    assert "tiny.yaml: valid, key " in done.stdout
    assert "broken.yaml" in done.stderr and "nodes[3].kernel" in done.stderr and "3, 5, 7" in done.stderr
    assert "Traceback" not in done.stderr


def test_validate_builds_on_request(tiny_file: Path) -> None:
    assert command("validate", str(tiny_file), "--build").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cost", "coatnett"], ["coatnett", "did you mean 'coatnet'"]),
        (["cost", "coatnet", "--input-size", "big"], ["big", "800x1280"]),
        (["cost", "coatnet", "--input-size", "0"], ["0"]),
        (["cost", "coatnet", "--classes", "-1"], ["classes"]),
        (["frobnicate"], ["frobnicate"]),
        (["validate"], ["Missing argument"]),
        (["search", "--max-params", "lots"], ["lots", "30M"]),
        (["search", "--max-params", "30M", "--start", "no_such_net"], ["no_such_net"]),
        (["search", "--max-params", "30M", "--space", "no_such_space"], ["no_such_space"]),
        (["search", "--max-params", "30M", "--proxy", "no_such_proxy"], ["no_such_proxy", "vkdnw"]),
        (["search", "--max-params", "30M", "--strategy", "no_such"], ["no_such", "walk"]),
        (["search", "--max-params", "30M", "--device", "abacus"], ["abacus", "cannot be used"]),
        (["score", "coatnet", "--proxy", "no_such_proxy"], ["no_such_proxy"]),
        (["score", "coatnet", "--device", "abacus"], ["abacus", "cannot be used"]),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not any(tmp_path.iterdir())


def test_every_command_has_help() -> None:
    listed = command("--help").stdout
    for name in ("search", "show", "cost", "score", "validate"):
        assert name in listed
        assert command(name, "--help").returncode == 0


def test_version() -> None:
    assert uninas.__version__ in command("--version").stdout


def test_a_file_wins_over_a_known_name(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_file.parent)
    tiny_file.rename("coatnet")
    assert read_genotype("coatnet").stages[0].width == 16


def test_an_aggregate_scores_no_single_network(tiny_file: Path) -> None:
    done = command("score", str(tiny_file), "--proxy", "az_nas")
    assert done.returncode == 2 and "ranks networks among each other" in done.stderr
    assert "score one network with expressivity" in done.stderr
    done = command("score", str(tiny_file), "--proxy", "params,logrank(macs, jacov)")
    assert done.returncode == 2 and "score one network with macs, jacov" in done.stderr
