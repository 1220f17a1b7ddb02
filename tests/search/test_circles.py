"""No file of `uninas/search` imports, directly or through others, itself - annotations' imports included."""

from __future__ import annotations

import ast
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parents[2]


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path, known: set[str]) -> set[str]:
    """Modules that a file imports when it is imported (functions' own imports run later), or for annotations."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = module_name(path, root)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found, frontier = set(), list(tree.body)
    while frontier:
        node = frontier.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                outer = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*outer, base] if base else outer)
            targets = [f"{base}.{alias.name}" for alias in node.names]
            found |= {target if target in known else base for target in targets}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        frontier.extend(ast.iter_child_nodes(node))
    return (found & known) - {name}


def import_graph(folder: Path, root: Path) -> nx.DiGraph:
    files = {module_name(path, root): path for path in folder.rglob("*.py")}
    graph = nx.DiGraph()
    for name, path in files.items():
        graph.add_node(name)
        graph.add_edges_from((name, other) for other in imported(path, root, set(files)))
    return graph


def test_no_circle():
    graph = import_graph(ROOT / "uninas" / "search", ROOT)
    assert len(graph) > 40
    assert [group for group in nx.strongly_connected_components(graph) if len(group) > 1] == []


def test_a_circle_is_seen(tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .two import x\n")
    (folder / "two.py").write_text("from . import one\n")
    groups = nx.strongly_connected_components(import_graph(folder, tmp_path))
    assert {"p.one", "p.two"} in list(groups)
