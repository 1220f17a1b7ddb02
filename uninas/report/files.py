"""Files that commands write: never over another without being told to."""

from __future__ import annotations

from pathlib import Path

from .drawing.layout import DrawingError


def check_target(path: Path, force: bool) -> None:
    """Before any work is done: whether a file may be written.

    Raises:
        DrawingError: it is there already, is a folder, or its folder is not there.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise DrawingError(f"{path}: a file in a folder that exists is needed; choose another --out")
    if path.exists() and not force:
        raise DrawingError(f"{path}: is there already; --force replaces it")
