"""Connections to a study's file: how it is made, opened for writing and opened for reading, and what can go wrong.

The file is in WAL mode: changes are appended to `study.sqlite-wal` and moved into the file now and then, so that
readers and the one writer never wait for each other, and a process that is killed leaves whole transactions only.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ...errors import GenotypeError, StudyError
from .schema import SCHEMA, SCHEMA_VERSION

PATIENCE = 30.0
"""Seconds to wait for a file that is locked, which happens while a killed study is being recovered."""
CACHE = 64
"""MiB of the file that SQLite keeps in memory."""


@contextmanager
def study_errors(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as StudyError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StudyError(f"{path}: {error}; is it a study, and is its disk writable and not full?") from None
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror or error}") from None


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Stored data that cannot be understood as StudyError."""
    try:
        yield
    except (ValueError, KeyError, TypeError, zlib.error, GenotypeError) as error:
        raise StudyError(f"{path}: {what} is damaged: {error}") from None


def has_begun(path: Path) -> bool:
    """Whether there is more in a file than in a study that failed before anything was measured.

    So it is of files that are no study of this version.
    """
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        with closing(connect_to_read(path)) as db:
            return bool(db.execute("SELECT EXISTS (SELECT 1 FROM measurements)").fetchone()[0])
    except (sqlite3.DatabaseError, OSError):
        return True


def beside(path: Path) -> list[Path]:
    """What SQLite may have put beside a file; to be deleted before the file is."""
    return [path.with_name(f"{path.name}-{end}") for end in ("wal", "shm", "journal")]


def make(path: Path, meta: dict[str, Any]) -> None:
    """Makes a new file, or replaces one: whoever looks sees the old, none, or the whole new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    for file in (temporary, *beside(temporary)):
        file.unlink(missing_ok=True)
    db = sqlite3.connect(temporary, isolation_level=None)
    try:
        db.executescript(f"BEGIN; {SCHEMA}")
        put_meta(db, {"schema_version": SCHEMA_VERSION, **meta})
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
    finally:
        db.close()
    for file in beside(path):
        file.unlink(missing_ok=True)
    os.replace(temporary, path)


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes. A commit outlives the process at once, and a power cut after the next checkpoint."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=PATIENCE)
    for pragma in ("foreign_keys = ON", "synchronous = NORMAL", f"cache_size = {-CACHE * 1024}"):
        db.execute(f"PRAGMA {pragma}")
    _check_size(db, path)
    return db


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, and sees what is committed while it is open.

    It may tidy up: the last one to close removes SQLite's own files beside the study. In a folder that cannot be
    written, SQLite cannot take part in WAL mode: the file is then read as it is, or, where a killed search left a
    `-wal`, a copy of both is.
    """
    uri = path.absolute().as_uri()
    db = sqlite3.connect(f"{uri}?mode=rw", uri=True, isolation_level=None, timeout=PATIENCE)
    try:
        db.execute("PRAGMA query_only = ON")
        db.execute("SELECT count(*) FROM sqlite_master")
        _check_size(db, path)
        return db
    except sqlite3.OperationalError as error:
        db.close()
        if not any(words in str(error) for words in ("unable to open", "readonly", "read-only", "disk I/O")):
            raise
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        return sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    folder = tempfile.TemporaryDirectory(prefix="uninas-study-")
    for file in (path, log):
        shutil.copyfile(file, Path(folder.name, file.name))
    copy = sqlite3.connect(Path(folder.name, path.name), isolation_level=None, factory=_CopyConnection)
    copy.folder = folder
    return copy


def _check_size(db: sqlite3.Connection, path: Path) -> None:
    """Raises sqlite3.DatabaseError for a file that ends within a page, whose missing rest SQLite reads as zeros."""
    (page,) = db.execute("PRAGMA page_size").fetchone()
    log = path.with_name(f"{path.name}-wal")
    if path.stat().st_size % page and not (log.exists() and log.stat().st_size):
        raise sqlite3.DatabaseError("the file is cut short")


class _CopyConnection(sqlite3.Connection):
    """To files in a temporary folder, which is deleted with the connection."""

    folder: tempfile.TemporaryDirectory


def get_meta(db: sqlite3.Connection, name: str) -> Any:
    """A value of the table `meta`, or None. Raises ValueError when it is not JSON."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return json.loads(row[0]) if row else None


def put_meta(db: sqlite3.Connection, values: dict[str, Any]) -> None:
    """Stores values of the table `meta`, within the transaction of the caller."""
    db.executemany("REPLACE INTO meta VALUES (?, ?)", [(name, json.dumps(value)) for name, value in values.items()])
