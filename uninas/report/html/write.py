"""From folders of studies to the file of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...files import write_bytes
from ..drawing.layout import DrawingError
from ..files import check_target
from .build import build_page

NAME = "report.html"
MARK = b'name="generator" content="uninas'
"""Near the beginning of every report: what has it may be replaced."""


def write(
    folders: Sequence[Path],
    out: Path | None = None,
    trained: Path | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes the report and returns what was written, in numbers.

    Args:
        folders: of studies.
        out: the file; without, NAME in the first folder.
        trained: a CSV file of results of trained networks.
        force: replace a file that is no report.
        progress: called with the networks drawn so far and all.

    Raises:
        StudyError: a folder holds no study, or a file cannot be read.
        DrawingError: the file cannot be written, or a package is missing.
    """
    out = out or Path(folders[0]) / NAME
    if out.is_file() and _is_report(out):
        force = True
    if out.parent.is_dir() or out != Path(folders[0]) / NAME:  # else there is no study, which is what to say
        check_target(out, force)
    page, numbers = build_page(folders, trained, progress)
    content = page.encode()
    write_bytes(out, content, DrawingError)
    return {"out": str(out), "bytes": len(content), **numbers}


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK in file.read(500)
    except OSError as error:
        raise DrawingError(f"{path}: cannot be read: {error.strerror or error}") from None
