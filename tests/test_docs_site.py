"""The documentation builds as a site, and what its tutorial tells to type works, in order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\b[^\n]*\n(.*?)^```", text, re.M | re.S)


def python(words: list[str], cwd: Path) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def follow(page: str, cwd: Path) -> str:
    """Types every `uninas` line of a page, then runs its Python; what the Python prints."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines() if line.startswith("uninas ")]
    assert lines
    for line in lines:
        python(["-c", "from uninas.cli import main; main()", *shlex.split(line, comments=True)[1:]], cwd)
    return "".join(python(["-c", block], cwd) for block in blocks(page, "python"))


def test_the_site_builds_and_asks_no_host(tmp_path):
    pytest.importorskip("material", reason="needs mkdocs-material, of the extra docs")
    pytest.importorskip("mkdocstrings", reason="needs mkdocstrings, of the extra docs")
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert (tmp_path / "tutorial.html") in pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(script|img|link)[^>]+(src|href)=.?https?://(?!squidfunk|arxiv)", text), page.name
    assert "with_graph" in (tmp_path / "reference" / "networks.html").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if page not in navigation} == set()


@pytest.mark.slow
def test_the_tutorial_is_followed(tmp_path):
    assert "(4, 8, 16)" in follow("tutorial.md", tmp_path)
    assert (tmp_path / "runs" / "digits" / "epoch_12.pth").exists()


@pytest.mark.slow
def test_the_space_of_ones_own_is_searched(tmp_path):
    (tmp_path / "mobile.yaml").write_text(blocks("my_space.md", "yaml")[0], encoding="utf-8")
    assert follow("my_space.md", tmp_path).strip()
    assert (tmp_path / "runs" / "mobile" / "best.yaml").exists()
