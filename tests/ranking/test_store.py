import sqlite3
import subprocess
import sys

import pytest

from uninas.ranking import RankingError
from uninas.ranking.store import Row, Store

SETTING = {"batch": 64, "images": None}
ROWS = [Row("k1", "vkdnw", 0, 1.5, None, 0.25), Row("k1", "naswot", 0, None, "no gates: none", 0.5)]


def test_what_is_added_is_there(tmp_path):
    store = Store(tmp_path / "s.sqlite", SETTING)
    store.add(ROWS)
    store.close()
    again = Store(tmp_path / "s.sqlite", SETTING)
    assert again.rows() == {("k1", "vkdnw", 0): ROWS[0], ("k1", "naswot", 0): ROWS[1]}


def test_all_or_none_of_a_network(tmp_path):
    store = Store(tmp_path / "s.sqlite", SETTING)
    with pytest.raises(RankingError, match=r"s\.sqlite: CHECK constraint failed"):
        store.add([ROWS[0], Row("k2", "vkdnw", 0, None, None, 0.0)])  # neither a value nor a reason
    assert store.rows() == {}


def test_another_setting_is_refused_with_the_difference(tmp_path):
    Store(tmp_path / "s.sqlite", SETTING).close()
    with pytest.raises(RankingError, match=r"batch was 64, now 32\. .*--force"):
        Store(tmp_path / "s.sqlite", {**SETTING, "batch": 32}).close()
    with pytest.raises(RankingError, match="files was None, now 'abc'"):
        Store(tmp_path / "s.sqlite", {**SETTING, "files": "abc"})


def test_not_a_store(tmp_path):
    (tmp_path / "s.sqlite").write_text("something else, and long enough to be looked at " * 100)
    with pytest.raises(RankingError, match=r"s\.sqlite is not a file of scores"):
        Store(tmp_path / "s.sqlite", SETTING)


def test_a_full_disk_is_said_and_what_was_stored_stays(tmp_path):
    store = Store(tmp_path / "s.sqlite", SETTING)
    store.add(ROWS)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    more = [Row(f"k{n}", "vkdnw", 0, 1.5, None, 0.25) for n in range(1000)]
    with pytest.raises(RankingError, match=r"s\.sqlite: database or disk is full; .* the same command goes on"):
        store.add(more)
    with pytest.raises(RankingError, match="disk is full"):
        store.draw([row.key for row in more], [row.key for row in more])
    assert len(store.rows()) == 2


def test_a_store_that_cannot_be_made_is_not_to_be_forced(tmp_path, monkeypatch):
    class Full(sqlite3.Connection):
        def executescript(self, *_):
            raise sqlite3.OperationalError("database or disk is full")

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, factory=Full))
    with pytest.raises(RankingError, match="disk is full") as told:
        Store(tmp_path / "s.sqlite", SETTING)
    assert "--force" not in str(told.value)


def test_a_killed_writer_leaves_whole_networks(tmp_path):
    code = f"""
import os
from uninas.ranking.store import Row, Store
from pathlib import Path
store = Store(Path({str(tmp_path / "s.sqlite")!r}), {SETTING!r})
store.add([Row("k1", "a", 0, 1.0, None, 0.0), Row("k1", "b", 0, 2.0, None, 0.0)])
store._db.execute("INSERT INTO scores VALUES ('k2', 'a', 0, 1.0, NULL, 0.0)")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert {key for key, *_ in Store(tmp_path / "s.sqlite", SETTING).rows()} == {"k1"}
