"""Files that commands write: never over another without being told to, and complete or not there."""

from __future__ import annotations

from pathlib import Path

from ..files import replacing
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


def write_file(path: Path, content: bytes) -> None:
    """Writes a file, completely or not at all.

    Raises:
        DrawingError: it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise DrawingError(f"{path}: cannot write: {error.strerror or error}") from None
