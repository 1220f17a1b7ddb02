"""`tools/search.py` and `uninas search` as a user runs them, on a tiny start."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import uninas

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--proxy", "naswot", "--proxy-size", "32", "--proxy-batch", "4", "--workers", "1", "--input-size", "64"]
SMALL += ["--leader-repeats", "2", "--fresh-repeats", "2", "--max-repeats", "2"]
LIMIT = 300_000


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "tiny.yaml"
    uninas.blocks.network("coatnet", widths=(16, 16, 32, 32), depths=(1, 1, 1, 1), input_size=64).save(path)
    return path


def arguments(start: Path, out: Path, *more: str) -> list[str]:
    limits = ["--max-params", str(LIMIT), "--start", str(start), "--out", str(out)]
    return [sys.executable, str(ROOT / "tools" / "search.py"), *limits, *SMALL, *more]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600)


@pytest.fixture(scope="module")
def finished(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of a few candidates."""
    out = tmp_path_factory.mktemp("study") / "run"
    done = run(*arguments(start, out, "--iterations", "8"), cwd=out.parent)
    assert done.returncode == 0, done.stderr
    for name in ("best.yaml", "summary.json", "study.sqlite"):
        assert name in done.stdout
    return out


def test_writes_what_it_promises(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    best = uninas.Genotype.load(finished / "best.yaml")
    cost = uninas.cost(best, 64)
    assert summary["best"]["key"] == best.key
    assert (summary["best"]["params"], summary["best"]["macs"]) == (cost.params, cost.macs)
    assert cost.params <= LIMIT
    assert summary["best"]["score"] >= summary["start"]["score"]
    assert cost.params >= 0.85 * LIMIT
    assert summary["evaluated"] == 8
    assert {"duplicates", "over_limits", "seconds", "limits", "settings", "seeds"} <= summary.keys()
    assert summary["limits"]["max_params"] == LIMIT and summary["limits"]["min_params"] == round(0.85 * LIMIT)


def test_the_same_seed_gives_the_same_study_and_json_is_one_object(start: Path, finished: Path, tmp_path: Path) -> None:
    done = run(*arguments(start, tmp_path / "again", "--iterations", "8", "--json"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again, first = json.loads(done.stdout), json.loads((finished / "summary.json").read_text())
    assert again["best"] == first["best"] and again["duplicates"] == first["duplicates"]


def test_nothing_is_overwritten_without_force(start: Path, finished: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.suffix != ".sqlite"}
    done = run(*arguments(start, finished, "--iterations", "8"), cwd=finished.parent)
    assert done.returncode in (1, 2) and "--force" in done.stderr and "Traceback" not in done.stderr
    assert before == {path.name: path.read_bytes() for path in finished.iterdir() if path.suffix != ".sqlite"}


def test_a_changed_configuration_is_refused_with_the_difference(start: Path, finished: Path) -> None:
    done = run(*arguments(start, finished, "--iterations", "8", "--seed", "5", "--resume"), cwd=finished.parent)
    assert done.returncode in (1, 2) and "seed" in done.stderr and "5" in done.stderr
    assert "Traceback" not in done.stderr


def test_off_a_terminal_there_is_a_plain_line_now_and_then(start: Path, tmp_path: Path) -> None:
    done = run(*arguments(start, tmp_path / "run", "--iterations", "3"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "searching: " in done.stderr and "best" in done.stderr and "\x1b" not in done.stderr
    assert "evaluated 3 networks" in done.stdout


def test_ctrl_c_says_how_to_go_on(start: Path, tmp_path: Path) -> None:
    out = tmp_path / "interrupted"
    command = arguments(start, out, "--iterations", "500")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while scored(out) < 5 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "interrupted after" in errors and "--resume" in errors and "Traceback" not in errors


def test_every_setting_is_an_option() -> None:
    from uninas.cli.settings import flag_of
    from uninas.search import SearchConfig

    done = run(sys.executable, str(ROOT / "tools" / "search.py"), "--help", cwd=ROOT)
    for name in SearchConfig.model_fields:
        option = "--set" if name == "strategy_settings" else flag_of(name)
        assert option in done.stdout, option


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_result(start: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    for _ in range(2):
        resume = ["--resume"] if out.exists() else []
        command = arguments(start, out, "--iterations", "8", *resume)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = scored(out)
        while scored(out) < before + 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = run(*arguments(start, out, "--iterations", "8", "--resume"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = json.loads((finished / "summary.json").read_text())
    last = json.loads((out / "summary.json").read_text())
    assert last["best"] == first["best"] and last["start"] == first["start"]
    assert (out / "best.yaml").read_text() == (finished / "best.yaml").read_text()


def scored(out: Path) -> int:
    """Scores in the study so far."""
    if not (out / "study.sqlite").exists():
        return 0
    try:
        with sqlite3.connect(f"file:{out / 'study.sqlite'}?mode=ro", uri=True) as database:
            return database.execute("select count(*) from measurements").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--max-params", "10"], ["10"]),
        (["--max-macs", "100", "--min-params", "0"], ["100"]),
        (["--min-params", "1G"], ["min"]),
        (["--proxy-classes", "1"], ["--proxy-classes", "greater than or equal to 2"]),
        (["--max-params", "many"], ["--max-params", "'many' is not a count"]),
        (["--proxy", "vkdwn_agg"], ["did you mean 'vkdnw_agg'"]),
        (["--strategy", "wlak"], ["--strategy", "did you mean 'walk'"]),
        (["--strategy", "evolution", "--set", "populaton=3"], ["did you mean 'population'"]),
        (["--set", "population"], ["KEY=VALUE"]),
        (["--timeout", "soon"], ["--timeout", "not a time"]),
        (["--max-latency", "20"], ["--max-latency", "20ms@1x224"]),
    ],
)
def test_limits_that_nothing_can_meet(start: Path, tmp_path: Path, more: list[str], words: list[str]) -> None:
    done = run(*arguments(start, tmp_path / "run", "--iterations", "2", *more), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "run" / "best.yaml").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX file modes")
def test_a_folder_that_cannot_be_written(start: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run(*arguments(start, tmp_path / "file" / "run", "--iterations", "2"), cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "file" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "in the way"
