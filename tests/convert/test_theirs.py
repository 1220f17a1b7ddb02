"""The authors' own package: what it mutates is converted, and it builds what comes back.

It has our import name and cannot be installed beside us: AUTHORS_PACKAGE names a folder that it was put into by
`pip install --target FOLDER --no-deps uninas==1.3.0`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = os.environ.get("AUTHORS_PACKAGE", "")


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="AUTHORS_PACKAGE does not name a folder with the authors' package")
def test_what_their_package_mutates():
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "benchmarks/authors_format.py", "--theirs", FOLDER, "--count", "8"]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (row,) = re.findall(r"^all +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)", done.stdout, re.M)
    assert set(row) == {"8"}, done.stdout
