"""The tables of a study, version 2, and what their rows are in memory.

    meta          facts about the study, JSON: schema_version, settings, machine, state, seconds
    graphs        each distinct block graph once, by its canonical key; the form that came first is the form
    candidates    every network that was asked for, as a skeleton that refers to graphs, with its parents and costs
    measurements  a value, or the state and the reason why there is none, by candidate, phase, repeat and metric
    evaluations   what a strategy asked for, and in which order it was told

A row that is there is complete: what belongs together is written in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...genotype import Genotype
from ..measurement import State

FILE = "study.sqlite"
SCHEMA_VERSION = 2

_STATES = ", ".join(f"'{state.value}'" for state in State)
SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE graphs (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),        -- canonical hash of the graph
    body BLOB NOT NULL                                        -- JSON in the layout of the genotype file, zlib
);
CREATE TABLE candidates (
    id INTEGER PRIMARY KEY CHECK (id >= 0),                   -- order of proposal, without gaps
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),        -- canonical hash of the network
    parent INTEGER REFERENCES candidates (id) CHECK (parent < id),
    partner INTEGER REFERENCES candidates (id) CHECK (partner < id),  -- second parent of a crossover
    move TEXT,                                                -- how it was made from its parents
    ask INTEGER NOT NULL CHECK (ask >= 0),                    -- number of the ask that proposed it; 0 for the starts
    params INTEGER NOT NULL CHECK (params >= 0),              -- scalars
    macs INTEGER NOT NULL CHECK (macs >= 0),                  -- multiply-adds at the input_size of the settings
    origin TEXT,                                              -- where it comes from when no strategy asked for it
    refused TEXT,                                             -- why it was not scored, such as a limit on latency
    skeleton BLOB NOT NULL,                                   -- the genotype with graphs by id: JSON, zlib
    CHECK (partner IS NULL OR parent IS NOT NULL)
);
CREATE TABLE metrics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE phases (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);  -- search, leaders, fresh, latency
CREATE TABLE measurements (
    candidate INTEGER NOT NULL REFERENCES candidates (id),
    phase INTEGER NOT NULL REFERENCES phases (id),
    repeat INTEGER NOT NULL CHECK (repeat >= 0),
    metric INTEGER NOT NULL REFERENCES metrics (id),
    value REAL,
    state TEXT NOT NULL CHECK (state IN ({_STATES})),
    reason TEXT,                                              -- `kind: what happened`
    seed INTEGER NOT NULL,                                    -- of the initial weights
    seconds REAL NOT NULL,                                    -- wall time, the share of this metric
    PRIMARY KEY (candidate, phase, repeat, metric),
    CHECK ((value IS NULL) <> (reason IS NULL)),              -- exactly one of them
    CHECK ((state = '{State.MEASURED.value}') = (value IS NOT NULL))
) WITHOUT ROWID;
CREATE INDEX failures ON measurements (candidate) WHERE value IS NULL;
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,                                   -- order of asking
    ask INTEGER NOT NULL CHECK (ask >= 0),
    candidate INTEGER NOT NULL REFERENCES candidates (id),
    phase INTEGER NOT NULL REFERENCES phases (id),
    first_repeat INTEGER NOT NULL CHECK (first_repeat >= 0),
    repeats INTEGER NOT NULL CHECK (repeats >= 0),
    told INTEGER UNIQUE CHECK (told >= 0)                     -- order of telling; NULL while the strategy waits for it
);
CREATE INDEX pending ON evaluations (id) WHERE told IS NULL;
CREATE VIEW scores AS                                         -- for people with a sqlite3 shell
    SELECT candidate, lower(hex(key)) AS key, phases.name AS phase, repeat, metrics.name AS metric, value, state, reason
    FROM measurements JOIN candidates ON candidates.id = candidate
    JOIN phases ON phases.id = phase JOIN metrics ON metrics.id = metric;
"""


@dataclass(frozen=True)
class Candidate:
    """A network of a study."""

    id: int
    """Order of proposal, from 0."""
    key: str
    """Canonical hash of the genotype, 64 hexadecimal digits."""
    parent: int | None
    partner: int | None
    """The second parent of a crossover."""
    move: str | None
    ask: int
    """Number of the ask that proposed it; 0 for the starts."""
    params: int
    macs: int
    """Multiply-adds of one image, at the `input_size` of the settings."""
    origin: str | None
    """Where it comes from when no strategy asked for it, such as another study."""
    refused: str | None
    """Why it was not scored."""


@dataclass(frozen=True)
class NewCandidate:
    """A candidate that is to be stored; see `Candidate`."""

    id: int
    genotype: Genotype
    parent: int | None
    partner: int | None
    move: str | None
    ask: int
    params: int
    macs: int
    origin: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """What a strategy asked for: repeats `first_repeat` to `first_repeat + repeats - 1` of a phase."""

    id: int
    """Order of asking, from 0."""
    ask: int
    candidate: int
    phase: str
    first_repeat: int
    repeats: int


NewEvaluation = Evaluation
"""An evaluation that is to be stored."""


class MeasurementRow(NamedTuple):
    """A stored measurement; see `uninas.search.measurement.Measurement`."""

    candidate: int
    metric: str
    phase: str
    repeat: int
    value: float | None
    state: State
    reason: str | None
    seed: int
    seconds: float
