"""A study: one SQLite file that holds every candidate, every score, the configuration and the random state.

Each change is one transaction, so a process that is killed at any moment loses at most the score it was computing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..genotype import Genotype
from .lock import Lock
from .schema import FILE, SCHEMA, SCHEMA_VERSION, Candidate, differences
from .scoring import Phase, Score

RECENT = 256
"""Candidates that are kept in memory, about."""


class Study:
    """An open study. Use `Study.create` or `Study.resume`, and close it (it is a context manager)."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: Lock) -> None:
        self.folder = folder
        self._db = connection
        self._lock = lock
        self._clock = time.perf_counter()
        self._recent: dict[int, Candidate] = {}  # genotypes that share graphs, and with them what graphs remember

    @classmethod
    def create(cls, folder: Path, fingerprint: dict[str, Any], force: bool = False) -> Study:
        """A new study in a folder, which is created if need be.

        Raises:
            StudyError: the folder cannot be written or holds a study, and `force` is not set.
        """
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{folder}: cannot make the folder: {error.strerror}") from None
        lock = Lock(folder)
        try:
            if path.exists() and path.stat().st_size and not force:
                raise StudyError(f"{path}: there is a study already; --resume continues it, --force replaces it")
            with _readable(path):
                for file in (path, path.with_name(f"{FILE}-journal")):
                    file.unlink(missing_ok=True)
                study = cls(folder, sqlite3.connect(path, isolation_level=None, timeout=30), lock)
                study._db.executescript(f"BEGIN; {SCHEMA}")
                study._set({"schema_version": SCHEMA_VERSION, "config": fingerprint})
                study._db.execute("COMMIT")
        except StudyError:
            lock.release()
            raise
        return study

    @classmethod
    def resume(cls, folder: Path, fingerprint: dict[str, Any]) -> Study:
        """The study in a folder, to be continued with the configuration it was started with.

        Raises:
            StudyError: there is none, the file is not a study, it is in use, or its configuration differs.
        """
        path = folder / FILE
        if not path.is_file() or not path.stat().st_size:
            raise StudyError(f"{path}: there is no study to resume; start it without --resume")
        lock = Lock(folder)
        try:
            with _readable(path):
                study = cls(folder, sqlite3.connect(path, isolation_level=None, timeout=30), lock)
                version, config = study.meta("schema_version"), study.meta("config")
            if version != SCHEMA_VERSION:
                raise StudyError(f"{path}: this uninas reads studies of version {SCHEMA_VERSION}, this is {version!r}")
            # Studies from before there was a choice do not name the device.
            changed = list(differences({"device": "cpu", **config}, fingerprint))
            if changed:
                lines = "\n".join(f"  {key}: {old!r} in the study, {new!r} now" for key, old, new in changed)
                raise StudyError(f"{path}: the configuration has changed, so it cannot be continued:\n{lines}")
        except StudyError:
            lock.release()
            raise
        return study

    def close(self) -> None:
        """Closes the file and lets others open the study."""
        self._db.close()
        self._lock.release()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become visible together, or not at all."""
        with _readable(self.folder / FILE):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._tick()
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _tick(self) -> None:
        """Adds the time since the last transaction to that which the study has taken."""
        now = time.perf_counter()
        self._set({"seconds": self.seconds + now - self._clock})
        self._clock = now

    def _rows(self, query: str, *arguments: Any) -> list[Any]:
        with _readable(self.folder / FILE):
            return self._db.execute(query, arguments).fetchall()

    def meta(self, name: str) -> Any:
        """A value of the table `meta`, or None."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def _set(self, values: dict[str, Any]) -> None:
        self._db.executemany("REPLACE INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in values.items()])

    def save(self, state: dict[str, Any], new: Iterable[Candidate] = ()) -> None:
        """Stores the state of the search together with the candidates that it proposes, in one transaction."""
        new = list(new)
        if len(self._recent) > RECENT:
            self._recent.clear()
        self._recent.update((candidate.id, candidate) for candidate in new)
        rows = [
            (c.id, c.genotype.key, json.dumps(c.genotype.to_dict()), c.parent, c.move, c.generation, c.params, c.macs)
            for c in new
        ]
        with self.transaction():
            names = "id, key, genotype, parent, move, generation, params, macs"
            self._db.executemany(f"INSERT INTO candidates ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._set({"state": state})

    @property
    def seconds(self) -> float:
        """Time spent, over all sessions, up to the last transaction."""
        return self.meta("seconds") or 0.0

    def record(self, candidate: int, phase: Phase, repeat: int, score: Score) -> None:
        """Stores a score; a failure makes the candidate a failed one."""
        status = "failed" if score.value is None else "scored"
        with self.transaction():
            self._db.execute(
                "INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)",
                (candidate, phase, repeat, str(score.seed), score.value, score.failure, score.seconds),
            )
            self._db.execute(
                "UPDATE candidates SET seconds = seconds + ?, failure = coalesce(failure, ?), "
                "status = CASE status WHEN 'failed' THEN status ELSE ? END WHERE id = ?",
                (score.seconds, score.failure, status, candidate),
            )

    def candidate(self, id: int) -> Candidate:
        """A candidate by its number."""
        if id in self._recent:
            return self._recent[id]
        columns = "id, genotype, parent, move, generation, params, macs"
        (row,) = self._rows(f"SELECT {columns} FROM candidates WHERE id = ?", id)
        self._recent[id] = Candidate(row[0], Genotype.from_dict(json.loads(row[1])), *row[2:])
        return self._recent[id]

    def find(self, key: str) -> int | None:
        """The number of the candidate with a key."""
        rows = self._rows("SELECT id FROM candidates WHERE key = ?", key)
        return rows[0][0] if rows else None

    def failure(self, id: int) -> str | None:
        """Why a candidate has no score."""
        return self._rows("SELECT failure FROM candidates WHERE id = ?", id)[0][0]

    def of_generation(self, generation: int) -> list[int]:
        """Numbers of the candidates that were proposed together."""
        return [row[0] for row in self._rows("SELECT id FROM candidates WHERE generation = ? ORDER BY id", generation)]

    def count(self, *statuses: str) -> int:
        """Candidates of any of the statuses, beside the start."""
        marks = ", ".join("?" * len(statuses))
        return self._rows(f"SELECT count(*) FROM candidates WHERE id > 0 AND status IN ({marks})", *statuses)[0][0]

    def values(self, candidate: int, phase: Phase) -> list[float | None]:
        """Scores of a candidate by repeat; None for a failure."""
        query = "SELECT value FROM scores WHERE candidate = ? AND phase = ? ORDER BY repeat"
        return [row[0] for row in self._rows(query, candidate, phase)]

    def search_values(self, candidate: int) -> list[float | None]:
        """All scores of a candidate before the end of the search."""
        query = "SELECT value FROM scores WHERE candidate = ? AND phase LIKE 'search%' ORDER BY phase, repeat"
        return [row[0] for row in self._rows(query, candidate)]

    def all_values(self, phase: Phase) -> dict[int, list[float]]:
        """Scores of all candidates that have scores and no failure."""
        query = (
            "SELECT candidate, value FROM scores JOIN candidates ON id = candidate "
            "WHERE phase = ? AND status = 'scored' ORDER BY candidate, repeat"
        )
        found: dict[int, list[float]] = {}
        for candidate, value in self._rows(query, phase):
            found.setdefault(candidate, []).append(value)
        return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as StudyError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StudyError(f"{path}: {error}; is it a study, and is its disk writable and not full?") from None
    except (OSError, json.JSONDecodeError) as error:
        raise StudyError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
