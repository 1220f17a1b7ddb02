"""What docs/export.md tells to type, typed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from os import environ
from pathlib import Path

import pytest
import torch
from small import small

import uninas

ROOT = Path(__file__).resolve().parents[2]


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.mark.slow
def test_blocks_run_in_order(tmp_path):
    for package in ("onnxruntime", "safetensors", "mmdet"):
        pytest.importorskip(package)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "imagenet").mkdir()
    small().save(tmp_path / "runs" / "first" / "best.yaml")
    state = uninas.build(small(), 10).state_dict()
    state = {name if name.startswith("head.") else f"backbone.{name}": tensor for name, tensor in state.items()}
    torch.save({"state_dict": state}, tmp_path / "runs" / "imagenet" / "epoch_150.pth")
    env = {**environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    lines = [shlex.split(line) for block in blocks("bash") for line in block.splitlines()]
    assert {tuple(words[:2]) for words in lines} == {("uninas", "export")} and len(lines) == 4
    for words in lines:
        small_images = [*words[1:], "--input-size", "32"]  # the last one counts
        done = subprocess.run(
            [sys.executable, "-m", "uninas", *small_images], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / words[words.index("--out") + 1]).is_file()
    (block,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
