"""The stand-in for mmcv's operators in every Python of an environment, for tools that never heard of uninas.

A config's `custom_imports` comes too late for mmdet's own `tools/train.py`, which imports mmdet's structures, and
with them `mmcv.ops`, before it reads a config. On request, two small files go into site-packages: a `.pth`, which
Python reads when it starts, and a module that offers `mmcv._ext` once mmcv asks for it and has none of its own.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from .errors import EngineError

NAME = "uninas_mmcv_ops"

_MODULE = '''\
"""Offers mmcv._ext to an mmcv without compiled operators. Written by `uninas doctor --install-ops`;
`uninas doctor --remove-ops` removes it."""

import sys
from importlib.machinery import ModuleSpec


class Finder:
    """Asked last, so that compiled operators come first; costs nothing until mmcv asks."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return ModuleSpec(name, cls) if name == "mmcv._ext" else None

    @staticmethod
    def create_module(spec):
        from uninas.engine.mmcv_ops import StandIn

        return StandIn(spec.name)

    @staticmethod
    def exec_module(module):
        pass


sys.meta_path.append(Finder)
'''


def install(folder: str | Path | None = None) -> list[Path]:
    """Write the two files to site-packages (or `folder`) and return their paths.

    Raises:
        EngineError: the folder cannot be written.
    """
    module, start = _files(folder)
    try:
        module.write_text(_MODULE, encoding="utf-8")
        start.write_text(f"import {NAME}\n", encoding="utf-8")
    except OSError as problem:
        raise EngineError(
            f"{module.parent}: cannot be written: {problem.strerror}; use a virtual environment"
        ) from None
    return [module, start]


def remove(folder: str | Path | None = None) -> list[Path]:
    """Remove them again and return the paths of those that were there."""
    found = [file for file in _files(folder) if file.is_file()]
    for file in found:
        file.unlink()
    return found


def installed(folder: str | Path | None = None) -> bool:
    """Whether both files are there."""
    return all(file.is_file() for file in _files(folder))


def _files(folder: str | Path | None) -> tuple[Path, Path]:
    site = Path(folder or sysconfig.get_paths()["purelib"])
    return site / f"{NAME}.py", site / f"{NAME}.pth"
