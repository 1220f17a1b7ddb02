"""Scores on disk: one SQLite file, written after every network, so that a run can be killed at any moment."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .errors import RankingError

FILE = "scores.sqlite"
Place = tuple[str, str, int]
"""(key, proxy, seed)."""

_SCHEMA = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE networks (name TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE scores (
    key TEXT NOT NULL, proxy TEXT NOT NULL, seed INTEGER NOT NULL, value REAL, failure TEXT, seconds REAL NOT NULL,
    PRIMARY KEY (key, proxy, seed), CHECK ((value IS NULL) <> (failure IS NULL))
) WITHOUT ROWID;
"""


class Row(NamedTuple):
    """A proxy's score of a genotype with the weights and inputs of one seed: a value, or the reason for none."""

    key: str
    proxy: str
    seed: int
    value: float | None
    failure: str | None
    seconds: float


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        hint = "is its disk writable and not full? What was stored stays, and the same command goes on from it"
        raise RankingError(f"{path}: {error}; {hint}") from None


class Store:
    """The scores of one setting. All methods raise RankingError where the file cannot be read or written.

    Args:
        path: the file; created if it is not there.
        setting: what decides a score, as JSON data.

    Raises:
        RankingError: the file cannot be used, or holds scores of another setting; the message shows the difference.
    """

    def __init__(self, path: Path, setting: Mapping[str, Any]) -> None:
        self.path = path
        new = not path.exists()
        try:
            with _errors(path):
                self._db = sqlite3.connect(path)
            if new or not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                with _errors(path):
                    self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            self._compare(setting)
        except sqlite3.Error as error:
            raise RankingError(f"{path} is not a file of scores ({error}); --force starts anew") from error

    def _compare(self, setting: Mapping[str, Any]) -> None:
        stored = {name: json.loads(value) for name, value in self._db.execute("SELECT name, value FROM setting")}
        if not stored:
            rows = [(name, json.dumps(value)) for name, value in setting.items()]
            with _errors(self.path), self._db:
                self._db.executemany("INSERT INTO setting VALUES (?, ?)", rows)
            return
        names = [name for name in {**stored, **setting} if stored.get(name) != setting.get(name)]
        if names:
            changed = "; ".join(f"{name} was {stored.get(name)!r}, now {setting.get(name)!r}" for name in names)
            raise RankingError(f"{self.path} is of another setting: {changed}. Use another folder, or --force")

    def draw(self, names: Iterable[str], keys: Iterable[str]) -> None:
        """Keeps which networks of the table were drawn; several can have one key, and share their scores."""
        with _errors(self.path), self._db:
            self._db.executemany("INSERT OR REPLACE INTO networks VALUES (?, ?)", zip(names, keys))

    def add(self, rows: Iterable[Row]) -> None:
        """Writes scores, all or none; they are on disk when this returns."""
        with _errors(self.path), self._db:
            self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)", rows)

    def rows(self) -> dict[Place, Row]:
        """All scores, by (key, proxy, seed)."""
        with _errors(self.path):
            return _rows(self._db)

    def close(self) -> None:
        self._db.close()


class Content(NamedTuple):
    """What a file of scores holds."""

    setting: dict[str, Any]
    networks: dict[str, str]
    """The key of each network that was drawn, by its name in the table."""
    rows: dict[Place, Row]


def read_scores(path: Path) -> Content:
    """All that is in a file of scores; nothing is written.

    Raises:
        RankingError: there is no such file, or it is of something else.
    """
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        setting = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM setting")}
        found = Content(setting, dict(db.execute("SELECT name, key FROM networks")), _rows(db))
        db.close()
    except sqlite3.Error as error:
        raise RankingError(f"{path} is not a file of scores ({error}); `uninas rank --out DIR` writes one") from error
    return found


def _rows(db: sqlite3.Connection) -> dict[Place, Row]:
    found = (Row(*row) for row in db.execute("SELECT key, proxy, seed, value, failure, seconds FROM scores"))
    return {row[:3]: row for row in found}
