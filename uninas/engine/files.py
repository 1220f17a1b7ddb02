"""Folders that are written completely or not at all, and never over somebody's work."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UninasError


@contextmanager
def new_folder(target: Path, marker: str, force: bool, error: type[UninasError]) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends well, and vanishes otherwise.

    Args:
        marker: a file that the block writes, by which a folder is known as made here.
        force: replace a folder that has the marker.

    Raises:
        UninasError: of the class `error`, when `target` would be overwritten.
    """
    occupied = target.exists() and not (target.is_dir() and not any(target.iterdir()))
    if occupied and not force:
        raise error(f"{target} exists already: choose another folder, or give --force to replace it")
    if occupied and not (target / marker).is_file():
        raise error(f"{target} was not made by uninas, so it is not replaced even with --force: move it away first")
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield staging
        staging.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
