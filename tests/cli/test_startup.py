"""What is imported before anything is computed: a command answers at once because it waits for nothing that it can do
without. (Seconds: benchmarks/startup.py.)"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import uninas

from .walk import commands

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "tests" / "search" / "assets" / "study_v1"

FOR_HELP = {
    *("typer", "click", "shellingham", "rich", "annotated_doc"),
    *("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"),
    *("yaml", "_yaml"),
}
"""Packages that may be imported for `--help`: typer and what it needs, pydantic (settings are options), YAML."""

HEAVY = {"torch", "timm", "mmengine", "torchvision", "matplotlib", "pandas", "scipy"}
STANDARD = set(sys.stdlib_module_names)
OF_C_EXTENSIONS = ("_sysconfigdata", "_cython", "cython_runtime")
"""Modules that PyYAML's parser in C brings."""

SCRIPT = """
import contextlib, io, json, sys
before = set(sys.modules)
from uninas.cli import main
codes, printed = [], []
for words in json.loads(sys.argv[1]):
    sys.argv = ["uninas", *words]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as ended:
            codes.append(ended.code)
    printed.append(out.getvalue() or err.getvalue())
print(json.dumps([codes, printed, sorted({name.partition(".")[0] for name in set(sys.modules) - before})]))
"""


def imported_by(*calls: list[str]) -> tuple[list[str], set[str]]:
    """(what each command prints, top-level packages that all of them import in a process of their own)."""
    words = [sys.executable, "-c", SCRIPT, json.dumps(calls)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    codes, printed, packages = json.loads(done.stdout)
    assert codes == [0] * len(calls), printed
    return printed, {name for name in packages if name not in STANDARD and not name.startswith(OF_C_EXTENSIONS)}


def test_help_imports_little():
    asked = [
        [],
        ["data"],
        ["protocol"],
        ["mm"],
        *(words.split() for words, _ in commands() if not words.startswith("mm")),
    ]
    printed, packages = imported_by(["--version"], *([*words, "--help"] for words in asked))
    assert packages <= {"uninas", *FOR_HELP}
    assert uninas.__version__ in printed[0] and all("Usage: uninas" in text for text in printed[1:])


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return Path(shutil.copytree(STUDY, tmp_path_factory.mktemp("startup") / "study"))


def test_what_reads_counts_and_draws_needs_no_torch(study):
    printed, packages = imported_by(
        ["cost", "coatnet"],
        ["show", "coatnet", "--drawing"],
        ["validate", "coatnet", "resnet"],
        ["diff", "coatnet", "resnet"],
        ["study", str(study), "--top", "2"],
        ["study", str(study), "--front"],
        ["study", str(study), "--out", str(study / "all.csv")],
    )
    assert "networkx" in packages and not packages & HEAVY
    assert "26,869,652" in printed[0]


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("omegaconf", ["protocol", "list"]),
        ("fast_sugiyama", ["draw", "coatnet", "--out", "coatnet.svg"]),
        ("fast_sugiyama", ["report", "."]),
    ],
)
def test_so_do_these_where_their_extra_is_installed(package, words, study):
    pytest.importorskip(package)
    words = [str(study / word) if word in (".", "coatnet.svg") else word for word in words]
    _, packages = imported_by(words)
    assert not packages & HEAVY


def test_the_check_would_see_torch():
    assert "torch" in imported_by(["show", "coatnet", "--code"])[1]
