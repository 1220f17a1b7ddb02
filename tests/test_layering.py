"""Imports point one way, and the core needs none of the optional packages."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "uninas"

LAYERS = (
    {"errors", "lazy", "files"},
    {"yaml_files"},
    {"ops", "resources"},
    {"genotype", "units", "device", "timing"},
    {"blocks", "compiler"},
    {"proxies"},
    {"search"},
    {"engine", "mm_compat", "toydata", "export", "report", "ranking", "timm", "profiling", "convert"},
    {"cli"},
    {"__main__"},
)
"""A module imports from the layers before its own and from its own package; those beside `engine`, each other."""
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
TOP = RANK["engine"]

CORE = {"torch", "networkx", "yaml", "numpy", "pydantic", "typer", "rich", "psutil", "moocore"}
"""What the core may import when it is itself imported: dependencies that every installation has. (timm is one too, but
takes longer to import than torch: functions that need it import it.)"""

OPTIONAL = {
    *("mmengine", "mmcv", "mmdet", "mmseg", "ftfy", "regex", "pycocotools", "omegaconf", "torchvision"),
    *("ray", "scipy", "sklearn", "matplotlib", "jinja2", "fast_sugiyama", "cairosvg"),
    *("onnx", "onnxscript", "onnxruntime", "pytest", "hypothesis", "selenium", "build", "coverage"),
    *("material", "mkdocstrings"),
}
"""Modules of the extras."""
OTHERWISE = {
    "mmcv_lite": "mmcv",
    "mmsegmentation": "mmseg",
    "scikit_learn": "sklearn",
    "mkdocs_material": "material",
}
NOT_BLOCKED = {"setuptools", "pytest_xdist", "ruff", "pyright"}
"""torch imports setuptools where it is there; the others have no module of their name."""


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(name: str, path: Path, at_import: bool = False) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import; with `at_import`, only of those that run when the module is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    frontier: list[ast.AST] = [tree]
    while frontier:
        node = frontier.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                outer = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*outer, base] if base else outer)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        types_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not (at_import and (function or types_only)):
            frontier.extend(ast.iter_child_nodes(node))


def part(name: str) -> str:
    """`ops` of `uninas.ops.conv`; "" of `uninas` itself and what it defines."""
    second = name.split(".")[1] if name.count(".") else ""
    return second if second in RANK or (PACKAGE / second).is_dir() or (PACKAGE / f"{second}.py").exists() else ""


def broken_rules(name: str, path: Path) -> list[str]:
    found = []
    ours = part(name)
    for line, target in imports(name, path):
        where = f"{path.name}:{line} imports {target}"
        if target.split(".")[0] in ("tools", "tests", "benchmarks"):
            found.append(where)
        if target.split(".")[0] != "uninas" or not ours:
            continue
        theirs = part(target)
        if not theirs:  # `uninas` itself imports blocks and compiler
            if RANK[ours] < TOP and target != "uninas.__version__":
                found.append(where)
        elif theirs != ours and RANK[theirs] >= RANK[ours] and not RANK[theirs] == RANK[ours] == TOP:
            found.append(where)
    return found


def test_every_part_has_its_place():
    parts = {part(name) for name, _ in modules()} - {""}
    assert parts <= set(RANK), f"give {sorted(parts - set(RANK))} a place in LAYERS"
    assert set(RANK) <= parts


@pytest.mark.parametrize(("name", "path"), [pytest.param(*module, id=module[0]) for module in modules()])
def test_imports_point_one_way(name, path):
    assert broken_rules(name, path) == []


CORE_PARTS = [*(name for names in LAYERS[: RANK["search"] + 1] for name in sorted(names)), "cli"]


@pytest.mark.parametrize("name", CORE_PARTS)
def test_the_core_imports_core_dependencies_only(name):
    allowed = CORE | {"uninas"} | sys.stdlib_module_names
    found = [
        f"{path.name}:{line} imports {target}"
        for module, path in modules()
        if part(module) == name
        for line, target in imports(module, path, at_import=True)
        if target.split(".")[0] not in allowed
    ]
    assert found == []


WITHOUT_TORCH = ("ops", "genotype", "blocks", "search/space", "search/strategies", "search/study", "report", "cli")
"""Where nothing is computed on tensors until something is built, scored or trained: torch takes seconds to import."""
TENSORS = ("ops/modules/", "ops/large_attention.py", "report/scores.py")


def test_counting_editing_and_drawing_networks_does_not_import_torch():
    found = [
        f"{path.relative_to(PACKAGE)}:{line} imports {target}: import it where something is built; a module of its own "
        "belongs in ops/modules/"
        for name, path in modules()
        if (place := path.relative_to(PACKAGE).as_posix()).startswith(WITHOUT_TORCH) and not place.startswith(TENSORS)
        for line, target in imports(name, path, at_import=True)
        if target.split(".")[0] in ("torch", "timm", "torchvision")
    ]
    assert found == []


def test_costs_and_moves_need_no_torch():
    code = """
import random, sys
sys.modules["torch"] = None
import uninas
network = uninas.blocks.network("coatnet")
print(uninas.cost(network).params)
space = uninas.search.Space.load("uninas")
print(len({space.mutate(network, random.Random(seed)).key for seed in range(10)} - {network.key}) > 5)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "26869652\nTrue\n"


def lazy_packages() -> Iterator[tuple[str, list[str]]]:
    """(dotted name, modules of the package) of every package that imports its names when they are asked for."""
    for name, path in modules():
        if path.name == "__init__.py" and "= lazily(" in path.read_text(encoding="utf-8"):
            yield name, [p.stem if p.is_file() else p.name for p in path.parent.iterdir() if not p.name.startswith("_")]


@pytest.mark.parametrize(("name", "own"), lazy_packages())
def test_lazy_names_are_found_and_are_no_modules(name, own):
    """A module of the same name would take the place of what the package says it has, once something imports it."""
    package = importlib.import_module(name)
    given = [word for word in package.__all__ if not word.startswith("_")]
    assert given and all(hasattr(package, word) for word in given)
    assert [word for word in given if word in own and not inspect.ismodule(getattr(package, word))] == []
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_the_rules_can_be_broken(tmp_path):
    """The checks above see every form of import."""
    path = tmp_path / "conv.py"
    for text, broken in {
        "from ..genotype import Ref": True,
        "from .. import compiler": True,
        "from .. import Genotype": True,
        "import uninas.search.space": True,
        "from uninas.blocks import network": True,
        "def f():\n    from ..genotype.graph import Ref": True,
        "import tools.search": True,
        "from ..errors import nearest": False,
        "from .base import Op": False,
        "from . import base": False,
        "import torch": False,
    }.items():
        path.write_text(text)
        assert bool(broken_rules("uninas.ops.conv", path)) == broken, text
    path.write_text("try:\n    import ray\nexcept ImportError:\n    pass\ndef f():\n    import mmengine")
    assert [target for _, target in imports("uninas.ops.conv", path, at_import=True)] == ["ray"]
    path.write_text("from ..export import onnx")
    assert broken_rules("uninas.report.text", path) == []
    assert broken_rules("uninas.search.space", path) != []


def test_every_extra_is_blocked():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = pyproject["project"]["optional-dependencies"].values()
    named = {re.split(r"[^\w-]", each)[0].replace("-", "_").lower() for extra in extras for each in extra}
    assert {OTHERWISE.get(name, name) for name in named} - NOT_BLOCKED == OPTIONAL


BLOCKED = """
import importlib, pkgutil, sys

before = set(sys.modules)  # coverage, while it counts lines

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is not installed here")

sys.meta_path.insert(0, Blocker())
import uninas
after_uninas = set(sys.modules)
for part in {parts!r}:
    module = importlib.import_module(f"uninas.{{part}}")
    for info in pkgutil.walk_packages(getattr(module, "__path__", ()), f"uninas.{{part}}."):
        importlib.import_module(info.name)
uninas.build(uninas.blocks.network("coatnet", widths=(8, 8, 16, 16), depths=(1, 1, 1, 1)), 3)
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} & {blocked!r}))
print(*sorted({{"timm", "pandas"}} & {{name.partition(".")[0] for name in after_uninas}}))
"""


def test_the_core_works_without_optional_packages():
    code = BLOCKED.format(blocked=OPTIONAL, parts=CORE_PARTS)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "\n\n"
