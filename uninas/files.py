"""Files that are written completely or not at all, and the folders for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, error: Callable[[str], Exception] | None = None) -> Iterator[Path]:
    """A temporary name beside `path`, with its suffix: what the block writes there becomes `path` when the block ends.

    When the block raises, `path` is as it was and the temporary file gone; a kill leaves `path` as it was.

    Args:
        error: what an OSError of the block or of the renaming is raised as, with a message that names the file; without
            it these pass as they are, as does ValueError for characters that no name can have.
    """
    temporary = path.parent / f".{os.getpid()}.{path.name}"
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as problem:
        if error is None:
            raise
        raise error(f"{path}: cannot write: {problem.strerror or problem}") from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink()


def make_folder(folder: Path, error: Callable[[str], Exception], advice: str = "choose another --out") -> None:
    """Makes a folder and those around it where they are not there; an OSError is raised as `error`, with the advice."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise error(f"{folder}: cannot make the folder: {problem.strerror or problem}; {advice}") from None


def write_bytes(path: Path, content: bytes, error: Callable[[str], Exception]) -> None:
    """Makes `content` the whole of a file; see `replacing`."""
    with replacing(path, error) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str, error: Callable[[str], Exception]) -> None:
    """Makes `text`, as UTF-8, the whole of a file; see `replacing`."""
    write_bytes(path, text.encode("utf-8"), error)
