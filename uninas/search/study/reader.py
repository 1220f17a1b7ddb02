"""Reading a study, also while a search writes it: no lock, no write, every call sees what is committed by then.

study = Study.open("runs/a")
study.summary()                  # counts, failures, hours
study.best(10)                   # by the objective of the search
study.lineage("3fa9")            # from a start to the candidate whose key begins so
study.genotype("3fa9").save("a.yaml")
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from ...errors import StudyError
from ...genotype import BlockGraph, Genotype
from ..measurement import Measurement, State
from .codec import unpack_graph, unpack_skeleton
from .database import connect_to_read, decoding, get_meta, study_errors
from .migrate import readable
from .ranking import Ranked, front_of, ranked
from .recent import Recent
from .schema import FILE, Candidate, MeasurementRow

GENOTYPES = 256
"""Genotypes that are kept in memory with their graphs, which take 10 to 30 kB each and are often shared."""
DIGITS = 64
"""Of a key."""
STATES = {state.value: state for state in State}
CANDIDATE = "id, lower(hex(key)), parent, partner, move, ask, params, macs, origin, refused"


@dataclass(frozen=True)
class StudySummary:
    """What a study holds."""

    folder: str
    candidates: int
    at_the_beginning: int
    """Starts, and candidates of a warm start."""
    evaluated: int
    """New candidates with all measurements that were asked for."""
    waiting: int
    """Evaluations that were asked for and not finished."""
    refused: int
    """Candidates that were not scored, because of a measured limit."""
    failed: dict[str, int]
    """Candidates without a score by reason."""
    duplicates: int
    """Proposals that had been evaluated before."""
    over_limits: int
    """Proposals that broke a limit on parameters or MACs."""
    measurements: int
    graphs: int
    """Distinct block graphs."""
    seconds: float
    """Of wall time, over all sessions."""
    stopped: str | None
    """Why the search ended before its iterations were used up."""
    settings: dict[str, Any] = field(repr=False)
    """All that decided the result."""


class StudyReader:
    """An open study. Close it, or use it as a context manager.

    Raises:
        StudyError: there is no study, it is damaged, or a later uninas wrote it. All methods raise it for a file that
            turns out to be damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        if folder.name == FILE and folder.is_file():
            folder = folder.parent
        path = folder / FILE
        if not path.is_file():
            what = "there is no study here" if folder.is_dir() else "there is no such folder"
            raise StudyError(f"{folder}: {what}; a study is the folder of a search, with {FILE} in it")
        with study_errors(path):
            self._begin(folder, readable(connect_to_read(path), path))

    def _begin(self, folder: Path, db: sqlite3.Connection) -> None:
        self.folder, self.path, self._db = folder, folder / FILE, db
        self._genotypes: Recent[int, Genotype] = Recent(GENOTYPES)
        self._graphs: WeakValueDictionary[int, BlockGraph] = WeakValueDictionary()  # of all genotypes in use

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, query: str, *arguments: Any) -> list[Any]:
        with study_errors(self.path):
            return self._db.execute(query, arguments).fetchall()

    def _one(self, query: str, *arguments: Any) -> Any:
        """The first value of the first row, or None."""
        rows = self._rows(query, *arguments)
        return rows[0][0] if rows else None

    # Facts

    def meta(self, name: str) -> Any:
        """A value of the table `meta`, or None."""
        with study_errors(self.path), decoding(self.path, f"meta.{name}"):
            return get_meta(self._db, name)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decided the result."""
        return self.meta("settings") or {}

    @property
    def seconds(self) -> float:
        """Wall time spent over all sessions, up to the last transaction."""
        return self.meta("seconds") or 0.0

    @property
    def machine(self) -> dict[str, Any]:
        """What the study was begun on: system, processor, cores, python; empty where an earlier version began it."""
        return self.meta("machine") or {}

    @property
    def count(self) -> int:
        """Candidates."""
        return self._one("SELECT count(*) FROM candidates")

    def summary(self) -> StudySummary:
        """Counts of what is in the study."""
        state = self.meta("state") or {}
        statistics = state.get("statistics") or {}
        first = state.get("first") or self._one("SELECT count(*) FROM candidates WHERE ask = 0")
        evaluated = (
            "SELECT count(DISTINCT candidate) FROM evaluations JOIN candidates c ON c.id = candidate "
            "WHERE told IS NOT NULL AND c.id >= ? AND refused IS NULL"
        )
        return StudySummary(
            folder=str(self.folder),
            candidates=self.count,
            at_the_beginning=first,
            evaluated=self._one(evaluated, first),
            waiting=self._one("SELECT count(*) FROM evaluations WHERE told IS NULL"),
            refused=self._one("SELECT count(*) FROM candidates WHERE refused IS NOT NULL"),
            failed=self.failed_by_reason(),
            duplicates=statistics.get("duplicates", 0),
            over_limits=statistics.get("over_limits", 0),
            measurements=self._one("SELECT count(*) FROM measurements"),
            graphs=self._one("SELECT count(*) FROM graphs"),
            seconds=self.seconds,
            stopped=state.get("stopped"),
            settings=self.settings,
        )

    def failed_by_reason(self) -> dict[str, int]:
        """Candidates with a failure in the search by reason (without its details), the most frequent first."""
        reasons = {(row.candidate, kind_of(row)) for row in self.failures() if row.phase == "search"}
        return dict(Counter(kind for _, kind in sorted(reasons)).most_common())

    # Candidates

    def rows(self) -> Iterator[Candidate]:
        """All candidates by id."""
        with study_errors(self.path):
            for row in self._db.execute(f"SELECT {CANDIDATE} FROM candidates ORDER BY id"):
                yield Candidate(*row)

    def candidates(self) -> list[Candidate]:
        """All candidates by id."""
        return list(self.rows())

    def candidate(self, id: int) -> Candidate:
        """A candidate by its number."""
        rows = self._rows(f"SELECT {CANDIDATE} FROM candidates WHERE id = ?", id)
        if not rows:
            raise StudyError(f"{self.path}: there is no candidate {id}; there are {self.count}, from 0")
        return Candidate(*rows[0])

    def find(self, key: str) -> int | None:
        """The number of the candidate with a key."""
        return self._one("SELECT id FROM candidates WHERE key = ?", bytes.fromhex(key))

    def resolve(self, prefix: str) -> int:
        """The number of the one candidate whose key begins with `prefix`.

        Raises:
            StudyError: none does, or several do; the message names near ones.
        """
        text = prefix.strip().lower()
        if not text or len(text) > DIGITS or set(text) - set("0123456789abcdef"):
            raise StudyError(f"{prefix!r} is not a key; write the first digits of one, such as 3fa9c2 (0-9, a-f)")
        found = self._keys_of(text)
        if len(found) == 1:
            return found[0][0]
        if found:
            named = ", ".join(f"{key[: len(text) + 4]} (candidate {id})" for id, key in found)
            raise StudyError(f"{self.path}: several keys begin with {text!r}: {named}; write more digits")
        near = next((keys for end in range(len(text) - 1, 0, -1) if (keys := self._keys_of(text[:end]))), [])
        hint = f"; near ones: {', '.join(key[: max(len(text), 12)] for _, key in near)}" if near else ""
        raise StudyError(f"{self.path}: no candidate's key begins with {text!r}{hint}")

    def _keys_of(self, prefix: str, most: int = 4) -> list[tuple[int, str]]:
        """(id, key) of the first candidates whose keys begin with a prefix."""
        low, high = (bytes.fromhex(prefix.ljust(DIGITS, digit)) for digit in "0f")
        query = "SELECT id, lower(hex(key)) FROM candidates WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?"
        return self._rows(query, low, high, most)

    def genotype(self, which: int | str) -> Genotype:
        """The network of a candidate, by number or by the beginning of its key."""
        id = self.resolve(which) if isinstance(which, str) else which
        known = self._genotypes.get(id)
        if known is not None:
            return known
        body = self._one("SELECT skeleton FROM candidates WHERE id = ?", id)
        if body is None:
            raise StudyError(f"{self.path}: there is no candidate {id}; there are {self.count}, from 0")
        with decoding(self.path, f"the network of candidate {id}"):
            return self._genotypes.put(id, unpack_skeleton(body, self._graphs_of))

    def _graphs_of(self, ids: Iterable[int]) -> Mapping[int, BlockGraph]:
        return {id: self._graph(id) for id in ids}

    def _graph(self, id: int) -> BlockGraph:
        known = self._graphs.get(id)
        if known is not None:
            return known
        graph = unpack_graph(self._one("SELECT body FROM graphs WHERE id = ?", id))
        self._graphs[id] = graph
        return graph

    def lineage(self, key: int | str) -> list[Candidate]:
        """The candidates from a start to the one with this number or this beginning of a key, by first parents."""
        found = [self.candidate(self.resolve(key) if isinstance(key, str) else key)]
        while found[-1].parent is not None:
            found.append(self.candidate(found[-1].parent))
        return found[::-1]

    # Measurements

    def _names(self) -> tuple[dict[int, str], dict[int, str]]:
        """Names of metrics and of phases by id. Read them after the rows have begun: names are only ever added."""
        metrics, phases = (
            dict(self._db.execute(f"SELECT id, name FROM {table}").fetchall()) for table in ("metrics", "phases")
        )
        return metrics, phases

    def metrics(self, *phases: str) -> list[str]:
        """Names of the metrics of which there are measurements in any of the phases, in the order they came."""
        marks = ", ".join("?" * len(phases))
        query = (
            f"SELECT name FROM metrics m WHERE EXISTS (SELECT 1 FROM measurements JOIN phases p ON p.id = phase "
            f"WHERE metric = m.id AND p.name IN ({marks})) ORDER BY id"
        )
        return [row[0] for row in self._rows(query, *phases)]

    def measured(self, candidate: int, phase: str, repeat: int) -> dict[str, Measurement]:
        """What was measured of a candidate in one repeat of a phase, by metric."""
        query = (
            "SELECT m.name, value, state, reason, seed, seconds FROM measurements JOIN metrics m ON m.id = metric "
            "WHERE candidate = ? AND phase = (SELECT id FROM phases WHERE name = ?) AND repeat = ?"
        )
        return {
            name: Measurement(name, value, STATES[state], reason, seed, seconds)
            for name, value, state, reason, seed, seconds in self._rows(query, candidate, phase, repeat)
        }

    def all_measurements(self, phase: str | None = None) -> Iterator[tuple[int, str, str, int, float | None, State]]:
        """(candidate, metric, phase, repeat, value or None, state) of all measurements, by candidate."""
        where = "" if phase is None else " WHERE phase = (SELECT id FROM phases WHERE name = ?)"
        query = f"SELECT candidate, metric, phase, repeat, value, state FROM measurements{where}"
        with study_errors(self.path):
            rows = self._db.execute(query, () if phase is None else (phase,))
            metrics, phases = self._names()
            for candidate, metric, number, repeat, value, state in rows:
                yield candidate, metrics[metric], phases[number], repeat, value, STATES[state]

    def scores(self, phase: str = "search") -> list[MeasurementRow]:
        """The measurements of a phase, by candidate, repeat and metric."""
        return list(self._measurements("phase = (SELECT id FROM phases WHERE name = ?)", phase))

    def failures(self) -> list[MeasurementRow]:
        """The measurements of all phases that have a reason in place of a value."""
        return list(self._measurements("value IS NULL"))

    def _measurements(self, where: str, *arguments: Any) -> Iterator[MeasurementRow]:
        columns = "candidate, metric, phase, repeat, value, state, reason, seed, seconds"
        with study_errors(self.path):
            rows = self._db.execute(f"SELECT {columns} FROM measurements WHERE {where}", arguments)
            metrics, phases = self._names()
            for candidate, metric, phase, repeat, value, state, *rest in rows:
                yield MeasurementRow(candidate, metrics[metric], phases[phase], repeat, value, STATES[state], *rest)

    # Ranks

    def best(self, n: int = 10, objective: str | None = None) -> list[Ranked]:
        """The candidates with the highest scores, best first.

        Args:
            objective: what to rank by, as `--proxy` is written; without, the (first) objective of the search.

        Raises:
            StudyError: the settings name no objective.
            ProxyError: `objective` is not understood.
        """
        return ranked(self, objective, n)

    def front(self, objectives: str | None = None) -> list[Ranked]:
        """The candidates that nothing beats in all objectives, the best by the first objective first.

        Args:
            objectives: several, as `--objectives` is written; without, those of the search.
        """
        return front_of(self, objectives)


def kind_of(row: MeasurementRow) -> str:
    """Why there is no value, in a word or two: the state, or for a failed proxy the first part of its reason."""
    return (row.reason or "").partition(":")[0] if row.state is State.FAILED else row.state.value
