"""The tables of a study, and what a row of candidates is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..genotype import Genotype

FILE = "study.sqlite"
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);  -- schema_version, config, state, seconds: JSON
CREATE TABLE candidates (
    id INTEGER PRIMARY KEY,                        -- in the order of proposal; 0 is the start
    key TEXT NOT NULL UNIQUE,                      -- canonical hash of the genotype
    genotype TEXT NOT NULL,                        -- JSON in the layout of the genotype file
    parent INTEGER REFERENCES candidates (id),
    move TEXT,
    generation INTEGER NOT NULL,
    params INTEGER NOT NULL,
    macs INTEGER NOT NULL,                         -- at the configuration's input_size
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'scored', 'failed')),
    failure TEXT,                                  -- the proxy's, `kind: what happened`
    seconds REAL NOT NULL DEFAULT 0                -- spent on all of its scores
);
CREATE TABLE scores (
    candidate INTEGER NOT NULL REFERENCES candidates (id),
    phase TEXT NOT NULL,                           -- search [generation], leaders or fresh: see scoring.py
    repeat INTEGER NOT NULL,
    seed TEXT NOT NULL,                            -- of the initial weights
    value REAL,                                    -- NULL where there is none
    failure TEXT,
    seconds REAL NOT NULL,
    PRIMARY KEY (candidate, phase, repeat)
);
"""


@dataclass(frozen=True)
class Candidate:
    """A row of `candidates`, without what changes."""

    id: int
    genotype: Genotype
    parent: int | None
    move: str | None
    generation: int
    params: int
    macs: int


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, old value, new value) wherever two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path, old, new
