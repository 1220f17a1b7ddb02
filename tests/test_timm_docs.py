"""What docs/timm.md shows to type is typed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import uninas
from uninas.timm.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "timm.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user stands who has searched and trained."""
    small = uninas.blocks.network("coatnet", widths=(8, 16, 32, 32), depths=(1, 1, 1, 1), input_size=32)
    small.save(tmp_path / "best.yaml")
    state = uninas.build(small, 1000, seed=3).state_dict()
    renamed = {name if name.startswith("head") else f"backbone.{name}": tensor for name, tensor in state.items()}
    (tmp_path / "runs" / "imagenet").mkdir(parents=True)
    torch.save({"state_dict": renamed}, tmp_path / "runs" / "imagenet" / "epoch_150.pth")
    return tmp_path


def test_the_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    session: dict = {}
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S):
        exec(compile(block, "docs/timm.md", "exec"), session)
    assert session["logits"].shape == (2, 10)
    again, finer = (session[name].eval() for name in ("again", "finer"))
    assert again.num_classes == 10 and finer(torch.randn(1, 3, 32, 32)).shape == (1, 37)
    expected = uninas.build(session["model"].genotype, 1000, seed=3).state_dict()
    new = session["model"].pretrained_cfg["classifier"]
    tuned = session["model"].state_dict()
    assert all(torch.equal(value, expected[name]) == (not name.startswith(new)) for name, value in tuned.items())


COMMANDS = re.findall(r"^(?:python|torchrun) .*-m uninas\.timm .*$", TEXT, re.M)

SCRIPT = """
import argparse
import timm
from timm.utils import ParseKwargs
parser = argparse.ArgumentParser()
for name in ("--model", "--data-dir"):
    parser.add_argument(name)
parser.add_argument("--model-kwargs", nargs="*", default={}, action=ParseKwargs)
parser.add_argument("--amp", action="store_true")
args = parser.parse_args()
import beside
print(timm.create_model(args.model, **args.model_kwargs).genotype)
"""


@pytest.mark.parametrize("line", COMMANDS)
def test_the_scripts_of_timm_are_started_so(line: str, folder: Path) -> None:
    (folder / "train.py").write_text(SCRIPT)
    (folder / "beside.py").write_text("")
    words = shlex.split(line)
    words = [sys.executable, *words[words.index("-m") :]]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Genotype(")


@pytest.mark.parametrize("words", [[], ["nothing.py"]])
def test_without_a_script(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["uninas.timm", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {'there is no script nothing.py' if words else 'give a script'}")
