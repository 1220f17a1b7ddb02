"""`uninas convert`, typed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from os import environ
from pathlib import Path

import pytest
import torch

from uninas.compiler import save_weights
from uninas.convert.read import load

from .reference import Weights, run

ROOT = Path(__file__).resolve().parents[2]
ASSETS = Path(__file__).parent / "assets"


def uninas(folder: Path, *words: str) -> subprocess.CompletedProcess:
    env = {**environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "uninas", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path) -> Path:
    for path in ASSETS.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_there_and_back_with_weights(folder):
    weights = Weights()
    run(load(folder / "trees.json"), weights, torch.randn(1, 3, 64, 64))
    save_weights(weights.plain(), folder / "trained.pth")
    done = uninas(folder, "convert", "trees.json", "--weights", "trained.pth", "--json")
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert there["files"] == ["trees.yaml", "trees.pth"] and there["to"] == "uninas"
    assert there["input_size"] == [64, 64] and there["classes"] == 7
    done = uninas(folder, "convert", "trees.yaml", "--out", "again.json", "--weights", "trees.pth", "--json")
    assert done.returncode == 0, done.stderr
    back = json.loads(done.stdout)
    assert (back["to"], back["key"], back["params"]) == ("official", there["key"], there["params"])
    assert back["classes"] == 7 and back["notes"] == []
    found = torch.load(folder / "again.pth", weights_only=True)
    assert load(folder / "again.json").drop_rate == 0.1
    unused = {name for name in weights if re.match(r"stages\.(0\.blocks\.0|1\.blocks\.1)\.norm2\.", name)}
    assert set(found) == set(weights) and unused
    for name, tensor in weights.plain().items():
        assert name in unused or torch.equal(found[name], tensor), name


def test_what_is_there_stays(folder):
    assert uninas(folder, "convert", "letters.json").returncode == 0
    written = (folder / "letters.yaml").read_bytes()
    (folder / "letters.yaml").write_text("mine", encoding="utf-8")
    done = uninas(folder, "convert", "letters.json")
    assert done.returncode == 2 and "letters.yaml: there is one already; --force replaces" in done.stderr
    assert (folder / "letters.yaml").read_text(encoding="utf-8") == "mine"
    done = uninas(folder, "convert", "letters.json", "--force")
    assert done.returncode == 0 and "written: letters.yaml" in done.stdout
    assert (folder / "letters.yaml").read_bytes() == written


MISTAKES = {
    "no file": (["convert", "nothing.json"], "nothing.json: there is no such file"),
    "no such format": (["convert", "letters.json", "--to", "theirs"], "--to: there is no format 'theirs'; choose from"),
    "a size of theirs": (["convert", "letters.json", "--input-size", "64"], "--input-size: is for --to official"),
    "images that are not square": (["convert", "coatnet", "--input-size", "64x96"], "their images are square"),
    "a biased stem": (["convert", "coatnet"], "coatnet: stem.convs[1].bias: theirs has false here"),
    "no weights": (["convert", "letters.json", "--weights", "no.pth"], "no.pth: there is no such checkpoint"),
    "a folder that is not there": (["convert", "letters.json", "--out", "no/a.yaml"], "there is no such folder"),
    "weights written over": (
        ["convert", "letters.json", "--weights", "letters.pth", "--force"],
        "choose another --out",
    ),
    "not theirs": (["convert", "letters.json", "--to", "official"], "letters.json"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case, folder):
    words, message = MISTAKES[case]
    done = uninas(folder, *words)
    assert done.returncode in (1, 2)
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (folder / "letters.yaml").exists()


def test_what_the_page_tells_to_type(folder):
    text = (ROOT / "docs" / "authors_format.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("uninas ")]
    assert len(lines) == 3
    shutil.copy(folder / "trees.json", folder / "model.json")
    weights = Weights()
    run(load(folder / "model.json"), weights, torch.randn(1, 3, 64, 64))
    save_weights(weights.plain(), folder / "trained.pth")
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        done = uninas(folder, *words)
        assert done.returncode == 0, done.stderr
        assert "written: " in done.stdout
