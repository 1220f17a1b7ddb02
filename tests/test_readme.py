"""What the README, docs/training.md and docs/python.md tell to type, typed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import uninas

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/training.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def commands(page: str, first_words: str) -> list[list[str]]:
    """The words of every command in the page's bash blocks that begins so, comments left out."""
    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith(first_words)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user stands who has searched, and trained on ImageNet."""
    small = uninas.blocks.network("coatnet", widths=(8, 16, 32, 32), depths=(1, 1, 1, 1), input_size=32)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    for name in ("best.yaml", "runs/first/best.yaml"):
        small.save(tmp_path / name)
    (tmp_path / "runs" / "imagenet").mkdir()
    state = {f"backbone.{name}": tensor for name, tensor in uninas.build(small, 10).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "runs" / "imagenet" / "epoch_150.pth")
    return tmp_path


def run(words: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """A command whose `python` and `uninas` are those that run the tests."""
    programs = {"python": [sys.executable], "uninas": [sys.executable, "-c", "from uninas.cli import main; main()"]}
    words = [*programs[words[0]], *words[1:]]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_python_runs(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    graph_language = blocks("docs/python.md", "yaml")[0]
    (folder / "my_network.yaml").write_text(graph_language)
    one_session: dict = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), one_session)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_training_on_digits_as_told(page, folder):
    pytest.importorskip("mmengine")
    (make,) = commands(page, "uninas data make digits")
    (train,) = commands(page, "uninas train")
    done = run(make, folder)
    assert done.returncode == 0, done.stderr
    done = run([*train, "--set", "schedule.epochs=2"], folder)
    assert done.returncode == 0, done.stderr
    assert "top1" in done.stdout and (folder / "runs" / "digits" / "epoch_2.pth").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/training.md"])
def test_training_on_large_data_as_told(page, folder):
    """Up to the check of the data, which are not here."""
    pytest.importorskip("mmengine")
    found = commands(page, "torchrun --nproc_per_node 8 -m uninas train")
    assert len(found) >= 2
    for words in found:
        root = words[words.index("--data-root") + 1]
        done = run(["python", *words[3:]], folder, WORLD_SIZE="8", RANK="0")
        assert done.returncode == 2 and f"error: --data-root {root}: there is no such" in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/training.md"])
def test_export_as_told(page, folder):
    pytest.importorskip("mmdet")
    found = commands(page, "uninas export-backbone")
    assert len(found) == 2
    for words in found:
        done = run(words, folder)
        assert done.returncode == 0, done.stderr
        out = folder / words[-1]
        assert len(list(out.glob("*.py"))) == 1 and (out / "backbone.pth").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_only_print(page, folder):
    pytest.importorskip("mmengine")
    for text in re.findall(r"`(uninas protocol [^`]*)`", (ROOT / page).read_text(encoding="utf-8")):
        done = run(shlex.split(text), folder)
        assert done.returncode == 0, done.stderr
