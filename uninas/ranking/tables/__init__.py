"""Tables of trained networks, one file a kind. To add one, write a file as `base.py` shows, here or anywhere else:

    uninas rank --table results.csv --benchmark my_benchmark.py ...

A file of your own defines `BENCHMARK` as those here do.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import lru_cache
from pathlib import Path

from ... import resources
from ...errors import nearest
from ..errors import RankingError
from .base import Benchmark, Column, Inputs, Table

__all__ = ["Benchmark", "Column", "Inputs", "Table", "benchmarks", "load", "locate"]


@lru_cache(maxsize=1)
def benchmarks() -> dict[str, Benchmark]:
    """All kinds of tables by name: every module of this package that defines BENCHMARK."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    found = [module.BENCHMARK for module in modules if hasattr(module, "BENCHMARK")]
    return {benchmark.name: benchmark for benchmark in found}


@lru_cache(maxsize=8)
def load(name: str) -> Benchmark:
    """A kind of table by its name, or by the Python file that defines it as BENCHMARK.

    Raises:
        RankingError: there is none, or the file defines none.
    """
    if name in benchmarks():
        return benchmarks()[name]
    if not name.endswith(".py"):
        message = f"there is no benchmark {name!r}; {nearest(name, benchmarks())}, or give a Python file"
        raise RankingError(message)
    path = Path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise RankingError(f"{path}: there is no such file of a benchmark")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code
        raise RankingError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    found = getattr(module, "BENCHMARK", None)
    if not isinstance(found, Benchmark):
        raise RankingError(f"{path} defines no BENCHMARK of the class uninas.ranking.tables.Benchmark")
    return found


def locate(table: str | Path, benchmark: str | None = None) -> tuple[str, Path]:
    """What `--table` names: the name of its benchmark, and where the table is.

    Args:
        table: a file or folder, or the name of a table that comes with uninas.
        benchmark: its kind; None recognises it.

    Raises:
        RankingError: there is no such table, or it is of no known kind.
    """
    path, there = Path(table), _packaged()
    if not path.exists() and str(table) in there:
        path = there[str(table)]
    if not path.exists():
        known = f"; a bare name finds one of: {', '.join(sorted(there))}" if there else ""
        raise RankingError(f"{table} cannot be read: there is no such file or folder{known}")
    if benchmark is not None:
        return load(benchmark).name if benchmark in benchmarks() else benchmark, path
    for name, found in benchmarks().items():
        if found.recognises(path):
            return name, path
    kinds = "; ".join(f"{name}: {found.files}" for name, found in benchmarks().items())
    raise RankingError(f"{table} is no table of a known kind ({kinds}); name its kind with --benchmark")


def _packaged() -> dict[str, Path]:
    """Folders of tables that come with uninas, by name."""
    for root in (resources.CHECKOUT / "tables", resources.INSTALLED / "tables"):
        found = {folder.name: folder for folder in sorted(root.glob("*")) if folder.is_dir()}
        if found:
            return found
    return {}
