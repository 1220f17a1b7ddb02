"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, with its suffix: what the block writes there becomes `path` when the block ends.

    When the block raises, `path` is as it was and the temporary file gone; a kill leaves `path` as it was. Errors of
    writing are the block's and of the renaming: OSError, ValueError for characters that no name can have.
    """
    temporary = path.parent / f".{os.getpid()}.{path.name}"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink()
