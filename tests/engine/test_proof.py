"""Equal training of hand-made and found networks: benchmarks/proof.py as it is run, with few images and evaluations."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mmengine")

from engine.test_idx import write

from uninas.search import Space

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_searches_races_and_trains_alike_and_trains_nothing_twice(tmp_path):
    write(tmp_path / "data", "train", count=100)
    write(tmp_path / "data", "t10k", count=50)
    out, space = tmp_path / "proof", Space.load("uninas_tiny")
    (out / "known").mkdir(parents=True)
    for name in ("coatnet", "resnet"):  # fitting them has its own tests
        for start in space.starts:
            space.start(name).save(out / "known" / f"{start}.yaml")
    sizes = [
        "--max-params",
        "900K",
        "--max-macs",
        "24M",
        "--iterations",
        "2",
        "--proxy-size",
        "32",
        "--proxy",
        "naswot",
    ]
    counts = ["--searches", "1", "--seeds", "2", "--top", "2", "--repeats", "1", "--workers", "1"]
    where = ["--data-root", str(tmp_path / "data"), "--out", str(out)]
    command = [sys.executable, "-W", "ignore", str(ROOT / "benchmarks" / "proof.py"), *sizes, *counts, *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "proof.json").read_text())["contenders"]
    kinds = [one["kind"] for one in found]
    assert kinds == ["hand-made"] * 4 + ["random", "random + race", "score", "score + race"]
    for one in found[4:]:
        assert 855_000 <= one["params"] <= 900_000 and 22_800_000 <= one["macs"] <= 24_000_000
        assert len(one["accuracies"]) == 2
    rows = (out / "trained" / "results.csv").read_text()
    again = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=ROOT)
    assert again.returncode == 0 and again.stdout == done.stdout
    assert (out / "trained" / "results.csv").read_text() == rows
    assert "| score | walk 0 |" in done.stdout
