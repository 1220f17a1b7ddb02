"""`uninas profile` and `uninas compare` as a user runs them, and what docs/profile.md tells to type."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import uninas
from uninas.cli import main

from .nets import small

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--input-size", "32", "--threads", "1")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    for name in ("small.yaml", "runs/first/best.yaml"):
        small().save(tmp_path / name)
    small("convnext").save(tmp_path / "patches.yaml")
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    """(exit code, standard output, standard error) of a command in this process."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uninas", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_profile_as_text_and_files(here, call):
    code, out, err = call("profile", "small.yaml", *QUICK, "--repeats", 2, "--batch", 2, "--out", "p.csv")
    assert code == 0, err
    params = uninas.cost(small(), 32).params
    assert "2x32 on cpu, 1 thread" in out and "2 passes" in out and "stage 4" in out and "norm" in out
    rows = list(csv.DictReader((here / "p.csv").open()))
    assert int(rows[0]["params"]) == params == sum(int(row["params"]) for row in rows[1:])
    code, _, err = call("profile", "small.yaml", *QUICK, "--out", "p.csv")
    assert code == 1 and "--force" in err


def test_json_alone_and_in_a_file(here, call):
    code, out, _ = call("profile", "small.yaml", *QUICK, "--repeats", 1, "--json", "--out", "p.json")
    assert code == 0 and json.loads(out) == json.loads((here / "p.json").read_text())
    code, out, _ = call("compare", "small.yaml", "patches.yaml", *QUICK, "--json", "--out", "c.json")
    data = json.loads(out)
    assert code == 0 and data == json.loads((here / "c.json").read_text())
    assert [each["network"] for each in data["networks"]] == ["small.yaml", "patches.yaml"]


def test_compare_as_text_with_scores(here, call):
    words = (
        "compare",
        "small.yaml",
        "patches.yaml",
        *QUICK,
        "--proxy",
        "naswot,params",
        "--repeats",
        2,
        "--out",
        "c.csv",
    )
    code, out, err = call(*words)
    assert code == 0, err
    assert "peak memory" in out and "naswot" in out and "%" in out
    rows = list(csv.DictReader((here / "c.csv").open()))
    assert float(rows[0]["score naswot standard_error"]) > 0 and rows[1]["failures"] == ""


def test_what_fails_for_one_is_named_below(here, call):
    code, out, err = call("compare", "small.yaml", "patches.yaml", "--input-size", "3", "--threads", "1")
    assert code == 1 and "failed" in out and "parameters" in out
    assert "patches.yaml: latency: an input of 3 x 3 is smaller than a 4 x 4 patch" in err


@pytest.mark.parametrize("command", ["profile", "compare"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("nothere.yaml", "nothere.yaml: there is no such file"),
        ("small.yaml --device abacus", "device 'abacus' cannot be used"),
        ("small.yaml --batch 0", "--batch"),
        ("small.yaml --threads 0", "--threads"),
        ("small.yaml --input-size big", "800x1280"),
        ("small.yaml --out p.txt", ".csv or .json"),
        ("small.yaml --out none/p.csv", "none/p.csv"),
        ("small.yaml --repeats 0", "--repeats"),
    ],
)
def test_mistakes(command, words, told, here, call):
    before = sorted(here.iterdir())
    code, out, err = call(command, *words.split())
    assert code in (1, 2) and not out and "Traceback" not in err and told in re.sub(r"\s+", " ", err)
    assert sorted(here.iterdir()) == before


def test_small_images_and_unknown_proxies_are_wrong_usage(here, call):
    code, _, err = call("profile", "patches.yaml", "--input-size", "3")
    assert code == 2 and "smaller than a 4 x 4 patch" in err
    code, _, err = call("compare", "small.yaml", "--proxy", "naswott")
    assert code == 2 and "did you mean 'naswot'?" in err
    code, _, err = call("compare", "small.yaml", "--proxy", "az_nas")
    assert code == 2 and "score one network with" in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
def test_cuda_that_is_not_there(here, call):
    code, _, err = call("profile", "small.yaml", "--device", "cuda")
    assert code == 2 and err.startswith("error: device 'cuda' cannot be used")


def test_in_a_process_of_its_own_nothing_else_is_printed(here):
    words = [sys.executable, "-m", "uninas", "profile", "small.yaml", *QUICK, "--repeats", "1", "--json"]
    done = subprocess.run(words, cwd=here, env=environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert json.loads(done.stdout)["batch"] == 1


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def test_what_the_page_tells_to_type_runs(here, call):
    text = (ROOT / "docs" / "profile.md").read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)).splitlines()
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(line, comments=True)
        if "--compile" in words:
            continue
        code, out, err = call(*[small_instead(word) for word in words[1:]], *QUICK)
        assert code == 0 and out, f"{line}\n{err}"


def small_instead(word: str) -> str:
    """The page's large networks take long."""
    return {"coatnet": "small.yaml", "convnext": "patches.yaml"}.get(word, word)
