"""A folder that one process writes at a time."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ...errors import StudyError

try:
    import fcntl
except ImportError:  # not on this system: two searches in one folder are then the user's own care
    fcntl = None

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""What file systems answer that cannot lock; there too it is the user's own care."""


class Lock:
    """Held from construction to `release`; the system releases it when the process ends, however it ends.

    Args:
        doing: what a process that holds it does, for the message of another.

    Raises:
        StudyError: another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path, doing: str = "searching in this folder") -> None:
        path = folder / ".lock"
        try:
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StudyError(f"{folder}: cannot write: {error.strerror}") from None
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StudyError(f"{folder}: another process is {doing}") from None
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                self.release()
                raise StudyError(f"{path}: cannot lock: {error.strerror}") from None

    def release(self) -> None:
        """Lets others in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
