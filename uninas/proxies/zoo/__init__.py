"""The proxies, each a definition in a file of its own: a new file in this folder is all that a new proxy takes."""

from __future__ import annotations

import ast
from pathlib import Path

DECORATORS = ("proxy", "derived")
"""What makes a public function of a file here a proxy."""


def _definitions() -> dict[str, tuple[str, bool]]:
    """(file, whether higher is better) of every proxy. Read, not imported: who asks for names needs no torch."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(function, ast.FunctionDef) or function.name.startswith("_"):
                continue
            for call in function.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) in DECORATORS:
                    options = {option.arg: ast.unparse(option.value) for option in call.keywords}
                    found[function.name] = (path.stem, options.get("higher_is_better") != "False")
    return found


_FOUND = _definitions()
FILES = {name: file for name, (file, _) in _FOUND.items()}
"""The file of each proxy, by the proxy's name, which is its name in the file too."""
LOWER_IS_BETTER = frozenset(name for name, (_, higher) in _FOUND.items() if not higher)
"""Proxies that say so of themselves (`higher_is_better=False`)."""
