"""Studies of earlier versions, read as ones of this version.

Version 1 held one score for each candidate, phase and repeat, by the one proxy of the settings; a walk scored every
generation in a phase of its own, "search 12", with seeds of its own. Here all of these are repeats of "search", in
the order of generations. What a strategy knew then, none can go on from now: such a study is read, never resumed.
"""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

from ...errors import StudyError
from ...genotype import Genotype
from ..measurement import State
from .codec import pack_graph, pack_skeleton
from .database import beside, decoding, get_meta, make, put_meta, study_errors
from .schema import FILE, SCHEMA, SCHEMA_VERSION

ORIGINAL = "study.v1.sqlite"
"""What a version-1 file is called after its migration."""
MIGRATED = "migrated_from"
"""Name in `meta` of the version that a study was written in."""
STATES = {"worker died": State.LOST, "timed out": State.TIMED_OUT, "out of memory": State.OUT_OF_MEMORY}
"""By the first words of a version-1 failure; any other is the proxy's."""


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """1 or 2. Raises StudyError for any other, and sqlite3.DatabaseError for what is not a study."""
    with decoding(path, "meta.schema_version"):
        version = get_meta(db, "schema_version")
    if version not in (1, SCHEMA_VERSION):
        raise StudyError(f"{path}: this uninas reads studies of versions 1 and {SCHEMA_VERSION}, this is {version!r}")
    return version


def readable(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The connection itself, or for a version-1 file one to the same study in memory, as of now."""
    try:
        if version_of(db, path) == SCHEMA_VERSION:
            return db
    except BaseException:
        db.close()
        raise
    new = sqlite3.connect(":memory:", isolation_level=None)
    new.executescript(SCHEMA)
    try:
        put_meta(new, {"schema_version": SCHEMA_VERSION})
        _copy(db, new, path)
    finally:
        db.close()
    return new


def migrate(path: Path) -> None:
    """Replaces a version-1 file by one of this version; the original stays beside it.

    A kill in between leaves the file as it was, or as it will be.
    """
    draft, original = path.with_name(f".{FILE}.migrating"), path.with_name(ORIGINAL)
    if original.exists():
        raise StudyError(f"{original}: is there already, so {path} is not migrated; move it away")
    with study_errors(path):
        make(draft, {})
        old = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        new = sqlite3.connect(draft, isolation_level=None)
        try:
            _copy(old, new, path)
        finally:
            new.close()
            old.close()
        for file in beside(draft):
            file.unlink(missing_ok=True)
        os.link(path, original)
        os.replace(draft, path)


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, path: Path) -> None:
    """Fills an empty study of this version."""
    with decoding(path, "a row of this version-1 study"):
        settings, state = get_meta(old, "config") or {}, get_meta(old, "state") or {}
        new.execute("BEGIN")
        statistics = {"duplicates": state.get("duplicates", 0), "over_limits": state.get("rejected", 0)}
        state = {"starts": 1, "first": 1, "statistics": statistics, "stopped": state.get("stopped")}
        facts = {"settings": settings, "state": state, "seconds": get_meta(old, "seconds") or 0.0, MIGRATED: 1}
        put_meta(new, facts)
        new.execute("INSERT INTO metrics VALUES (0, ?)", (settings["proxy"],))
        phases: dict[str, int] = {}
        _copy_candidates(old, new)
        _copy_scores(old, new, phases)
        new.execute("COMMIT")


def _copy_candidates(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    graphs: dict[str, int] = {}

    def graph_id(graph: Any) -> int:
        if graph.key not in graphs:
            graphs[graph.key] = len(graphs)
            row = (graphs[graph.key], bytes.fromhex(graph.key), pack_graph(graph))
            new.execute("INSERT INTO graphs VALUES (?, ?, ?)", row)
        return graphs[graph.key]

    columns = "id, key, parent, move, generation, params, macs, genotype"
    for id, key, parent, move, generation, params, macs, text in old.execute(
        f"SELECT {columns} FROM candidates ORDER BY id"
    ):
        skeleton = pack_skeleton(Genotype.from_dict(json.loads(text)), graph_id)
        row = (id, bytes.fromhex(key), parent, None, move, generation, params, macs, None, None, skeleton)
        new.execute(f"INSERT INTO candidates VALUES ({', '.join('?' * len(row))})", row)


def _copy_scores(old: sqlite3.Connection, new: sqlite3.Connection, phases: dict[str, int]) -> None:
    """Measurements, and an evaluation for each candidate; those without a score are still waited for."""
    columns = "candidate, phase, repeat, seed, value, failure, seconds"
    found: dict[tuple[int, str], int] = {}  # how many repeats of a candidate's phase are there
    rows = old.execute(f"SELECT {columns} FROM scores").fetchall()
    for candidate, name, _, seed, value, failure, seconds in sorted(rows, key=_order):
        phase = name.split()[0]
        if phase not in phases:
            phases[phase] = len(phases)
            new.execute("INSERT INTO phases VALUES (?, ?)", (phases[phase], phase))
        repeat = found.get((candidate, phase), 0)
        found[candidate, phase] = repeat + 1
        state = State.MEASURED
        if failure is not None:
            state = next((s for words, s in STATES.items() if failure.startswith(words)), State.FAILED)
        row = (candidate, phases[phase], repeat, 0, value, state.value, failure, int(seed), seconds)
        new.execute(f"INSERT INTO measurements VALUES ({', '.join('?' * len(row))})", row)
    if "search" not in phases:
        phases["search"] = len(phases)
        new.execute("INSERT INTO phases VALUES (?, 'search')", (phases["search"],))
    told = 0
    for id, ask in old.execute("SELECT id, generation FROM candidates ORDER BY id"):
        repeats = found.get((id, "search"), 0)
        row = (id, ask, id, phases["search"], 0, repeats, told if repeats else None)
        told += repeats > 0
        new.execute("INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _order(row: tuple) -> tuple[int, str, int, int]:
    """By candidate, phase, generation (0 where a phase names none), repeat."""
    candidate, name, repeat = row[:3]
    phase, _, generation = name.partition(" ")
    return candidate, phase, int(generation or 0), repeat
