"""What CONTRIBUTING.md tells to add is added to a copy of the package, and passes the tests of its kind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r'^```(?:python|yaml) title="([^"]+)"\n(.*?)^```', PAGE, re.M | re.S))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which a newcomer has followed the page."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("uninas", "tests", "spaces", "protocols", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for title, code in BLOCKS.items():
        path, _, table = title.partition(": ")
        text = (folder / path).read_text(encoding="utf-8") if (folder / path).exists() else ""
        if not table:
            (folder / path).write_text(f"{text}\n\n{code}" if text else code, encoding="utf-8")
            continue
        opening = re.search(rf"^{table}\b.*[{{:]\n", text, re.M)
        assert opening, f"{path} has no {table}"
        text = text[: opening.end()] + code + text[opening.end() :]
        if table == "MOVES":
            text = text.replace("from .attributes import", "from . import kernels\nfrom .attributes import", 1)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def run(checkout: Path, *words: str) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)}
    done = subprocess.run([sys.executable, *words], cwd=checkout, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def uninas(checkout: Path, *words: str) -> str:
    return run(checkout, "-c", "from uninas.cli import main; main()", *words)


def test_the_page_has_four_examples():
    folders = {Path(title).parent.as_posix() for title in BLOCKS if title.endswith(".py")}
    examples = {"uninas/ops", "uninas/proxies/zoo", "uninas/search/strategies", "uninas/search/space/moves"}
    assert folders == {*examples, "uninas/export/source"}  # and words for the operation


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tests", "named"),
    [
        ("tests/ops/test_contract.py", "mish"),
        ("tests/export/test_source.py", "every_operation_has_words"),
        ("tests/proxies/test_contract.py", "logit_spread"),
        ("tests/search/test_strategies.py", "climber"),
        ("tests/search/test_moves.py", "widen_kernel"),
    ],
)
def test_each_example_keeps_its_contract(checkout, tests, named):
    found = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", named, tests)
    assert re.search(r"\b[1-9]\d* passed", found), found


@pytest.mark.slow
def test_the_examples_are_clean(checkout):
    files = [title for title in BLOCKS if title.endswith(".py")]
    run(checkout, "-m", "ruff", "check", *files)
    run(checkout, "-m", "ruff", "format", "--check", *files)


@pytest.mark.slow
def test_a_search_uses_all_of_them(checkout):
    chosen = ["--space", "mine.yaml", "--strategy", "climber", "--proxy", "logrank(macs, logit_spread)"]
    few = ["--iterations", "6", "--proxy-size", "32", "--workers", "1", "--no-report", "--out", "runs/mine"]
    uninas(checkout, "search", *chosen, *few)
    assert "logit_spread" in uninas(checkout, "study", "runs/mine", "--json")
    assert (checkout / "runs" / "mine" / "best.yaml").exists()
