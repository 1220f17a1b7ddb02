"""Writing a study. Every change is one transaction, so a process that is killed at any moment loses at most what it was
measuring; one process writes, others read meanwhile (see reader.py).

    with Study.create(folder, settings) as study:
        study.admit(candidates, evaluations, state)        # what a strategy asked for, and its state behind that
        study.record(candidate, "search", 0, measurements)
        study.tell([evaluation], state)                    # the strategy knows it, and its state behind that
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import StudyError
from ...files import make_folder
from ...genotype import Block, BlockGraph, Genotype, SubBlock
from ..measurement import Measurement, State
from .codec import pack_graph, pack_skeleton
from .database import connect, has_begun, make, put_meta, study_errors
from .lock import Lock
from .machine import machine
from .migrate import MIGRATED, ORIGINAL, migrate, version_of
from .reader import StudyReader
from .recent import Recent
from .schema import FILE, SCHEMA_VERSION, Evaluation, NewCandidate, NewEvaluation

GRAPHS = 8192
"""Keys of graphs whose numbers are kept in memory."""
SHOWN = 8
"""Settings that differ, of which a message has the values."""


class Study(StudyReader):
    """A study that is being written. Use `Study.create` or `Study.resume`; `Study.open` only reads."""

    def __init__(self, folder: Path, db: sqlite3.Connection, lock: Lock) -> None:
        self._begin(folder, db)
        self._lock = lock
        self._clock = time.perf_counter()
        with study_errors(self.path):
            self._load()

    def _load(self) -> None:
        """What is looked up all the time, from the file into memory: 25 MB for 100,000 candidates."""
        self._graph_ids: Recent[str, int] = Recent(GRAPHS)
        self._graphs.clear()
        self._seconds = self.meta("seconds") or 0.0
        self._ids: dict[bytes, int] = dict(self._rows("SELECT key, id FROM candidates"))
        self._told: int = self._one("SELECT coalesce(max(told) + 1, 0) FROM evaluations")
        self._numbers = {
            table: {name: id for id, name in self._rows(f"SELECT id, name FROM {table}")}
            for table in ("metrics", "phases")
        }
        failures = "SELECT DISTINCT candidate FROM measurements WHERE value IS NULL AND phase = ?"
        self._failed = {row[0] for row in self._rows(failures, self._numbers["phases"].get("search"))}

    @classmethod
    def create(cls, folder: Path, settings: dict[str, Any], force: bool = False) -> Study:
        """A new study in a folder, which is created if need be.

        Args:
            settings: all that decides the result, as JSON data.
            force: replace a study that is there.

        Raises:
            StudyError: the folder cannot be written, is in use, or holds a study of which something was measured, or a
                file that is no study, and `force` is not set.
        """
        path = folder / FILE
        make_folder(folder, StudyError)
        lock = Lock(folder)
        try:
            if not force and has_begun(path):
                raise StudyError(f"{path}: there is a study already; --resume continues it, --force replaces it")
            with study_errors(path):
                make(path, {"settings": settings, "machine": machine()})
                return cls(folder, connect(path), lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def resume(cls, folder: Path, settings: dict[str, Any], may_change: Collection[str] = ()) -> Study:
        """The study in a folder, to be continued with the settings it was started with.

        Args:
            may_change: top-level settings that may differ; the study then holds the new ones.

        Raises:
            StudyError: there is none, the file is not a study, it is in use, an earlier version wrote it (it is then
                migrated, for reading), or its settings differ.
        """
        path = folder / FILE
        if not path.is_file() or not path.stat().st_size:
            raise StudyError(f"{path}: there is no study to resume; start it without --resume")
        lock = Lock(folder)
        try:
            with study_errors(path):
                _check_version(path)
                study = cls(folder, connect(path), lock)
            try:
                study._take(settings, may_change)
            except BaseException:
                study.close()
                raise
        except BaseException:
            lock.release()
            raise
        return study

    @staticmethod
    def open(folder: str | Path) -> StudyReader:
        """A study for reading, also while a search writes it. Raises StudyError."""
        return StudyReader(folder)

    def _take(self, settings: dict[str, Any], may_change: Collection[str]) -> None:
        """Compares settings with the stored ones, and stores those that may differ."""
        if self.meta(MIGRATED):
            raise StudyError(f"{self.path}: was written by another version, so {_INSTEAD}")
        new, old = json.loads(json.dumps(settings)), self.settings
        changed = [found for found in differences(old, new) if found[0].partition(".")[0] not in may_change]
        if changed:
            lines = [f"  {key}: {before!r} in the study, {now!r} now" for key, before, now in changed[:SHOWN]]
            if len(changed) > SHOWN:
                lines.append(f"  and {len(changed) - SHOWN} more")
            told = "\n".join(lines)
            raise StudyError(f"{self.path}: the configuration has changed, so it cannot be continued:\n{told}")
        if new != old:
            self.set_meta({"settings": new})

    def close(self) -> None:
        """Closes the file and lets others write the study."""
        super().close()
        self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All writes inside become visible together, or not at all."""
        with study_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                now = time.perf_counter()
                seconds = self._seconds + now - self._clock
                put_meta(self._db, {"seconds": seconds})
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._load()
                raise
            self._seconds, self._clock = seconds, now

    # Facts in memory

    @property
    def seconds(self) -> float:
        return self._seconds

    @property
    def count(self) -> int:
        return len(self._ids)

    @property
    def failed(self) -> int:
        """Candidates with a failure in the phase "search"."""
        return len(self._failed)

    def find(self, key: str) -> int | None:
        return self._ids.get(bytes.fromhex(key))

    def set_meta(self, values: dict[str, Any]) -> None:
        """Stores facts about the study, as JSON."""
        with self._transaction():
            put_meta(self._db, values)

    def save(self, state: dict[str, Any]) -> None:
        """Stores the state of the search."""
        self.set_meta({"state": state})

    # Candidates

    def intern(self, genotype: Genotype) -> Genotype:
        """The same network, with the stored form of every graph that is stored.

        Equal graphs may name and order their nodes differently, and with that draw other initial weights: what is
        measured has to be what is stored, before and after a restart.
        """
        forms: dict[int, BlockGraph] = {}
        for _, sub in genotype.subblocks:
            if id(sub.graph) not in forms:
                number = self._graph_id(sub.graph)
                forms[id(sub.graph)] = sub.graph if number is None else self._graph(number)
        if all(id(form) == old for old, form in forms.items()):
            return genotype
        stages = []
        for stage in genotype.stages:
            blocks = (Block(tuple(_with(sub, forms[id(sub.graph)]) for sub in b.subblocks)) for b in stage.blocks)
            stages.append(replace(stage, blocks=tuple(blocks)))
        return replace(genotype, stages=tuple(stages))

    def _graph_id(self, graph: BlockGraph) -> int | None:
        """The number of the stored graph that is equal; None when there is none."""
        known = self._graph_ids.get(graph.key)
        if known is None:
            known = self._one("SELECT id FROM graphs WHERE key = ?", bytes.fromhex(graph.key))
            if known is not None:
                self._graph_ids.put(graph.key, known)
        return known

    def _put_graph(self, graph: BlockGraph) -> int:
        """The number of a graph, stored if it is new."""
        number = self._graph_id(graph)
        if number is None:
            row = (bytes.fromhex(graph.key), pack_graph(graph))
            number = self._db.execute("INSERT INTO graphs (key, body) VALUES (?, ?)", row).lastrowid
            self._graphs[number] = graph  # type: ignore[index]
        return number  # type: ignore[return-value]

    def admit(
        self,
        candidates: Sequence[NewCandidate],
        evaluations: Sequence[NewEvaluation],
        state: dict[str, Any],
        measured: Sequence[tuple[int, str, int, Sequence[Measurement]]] = (),
    ) -> None:
        """Stores new candidates, what is to be evaluated, and the state of the search behind that.

        Args:
            measured: (candidate, phase, repeat, measurements) that candidates bring with them.

        Raises:
            StudyError: an id that does not follow on, a network that is there already, or a failed write; nothing of it
                is then stored.
        """
        with self._transaction():
            for candidate in candidates:
                self._insert(candidate)
            rows = [
                (e.id, e.ask, e.candidate, self._number("phases", e.phase), e.first_repeat, e.repeats)
                for e in evaluations
            ]
            columns = "id, ask, candidate, phase, first_repeat, repeats"
            self._db.executemany(f"INSERT INTO evaluations ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
            for place in measured:
                self._insert_measurements(*place)
            put_meta(self._db, {"state": state})
        for candidate in candidates:
            self._genotypes.put(candidate.id, self.intern(candidate.genotype))

    def _insert(self, new: NewCandidate) -> None:
        key = bytes.fromhex(new.genotype.key)
        if new.id != self.count:
            raise StudyError(f"{self.path}: the next candidate is {self.count}, got {new.id}")
        if key in self._ids:
            raise StudyError(f"{self.path}: candidate {new.id} is the same network as {self._ids[key]}")
        known: dict[int, int] = {}

        def graph_id(graph: BlockGraph) -> int:
            if id(graph) not in known:
                known[id(graph)] = self._put_graph(graph)
            return known[id(graph)]

        skeleton = pack_skeleton(new.genotype, graph_id)
        costs = (new.params, new.macs, new.origin)
        row = (new.id, key, new.parent, new.partner, new.move, new.ask, *costs, None, skeleton)
        self._db.execute("INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._ids[key] = new.id

    def refuse(self, candidate: int, why: str) -> None:
        """Notes why a candidate is not scored. Raises StudyError when it is not there or refused already."""
        with self._transaction():
            query = "UPDATE candidates SET refused = ? WHERE id = ? AND refused IS NULL"
            if not self._db.execute(query, (why, candidate)).rowcount:
                raise StudyError(f"{self.path}: candidate {candidate} is not there, or is refused already")

    # Measurements

    def _number(self, table: str, name: str) -> int:
        """The number of a metric or a phase, stored if it is new."""
        numbers = self._numbers[table]
        if name not in numbers:
            numbers[name] = len(numbers)
            self._db.execute(f"INSERT INTO {table} VALUES (?, ?)", (numbers[name], name))
        return numbers[name]

    def record(
        self, candidate: int, phase: str, repeat: int, measurements: Sequence[Measurement], again: bool = False
    ) -> None:
        """Stores what was measured of a candidate in one repeat of a phase.

        Args:
            again: in place of what is there of the same metrics. (Not for "search", whose failures are counted.)

        Raises:
            StudyError: one of the metrics has been measured there already, or there is no such candidate; nothing of it
                is then stored.
        """
        with self._transaction():
            self._insert_measurements(candidate, phase, repeat, measurements, "REPLACE" if again else "INSERT")

    def _insert_measurements(
        self, candidate: int, phase: str, repeat: int, measurements: Sequence[Measurement], verb: str = "INSERT"
    ) -> None:
        number = self._number("phases", phase)
        for m in measurements:
            metric = self._number("metrics", m.metric)
            row = (candidate, number, repeat, metric, m.value, m.state.value, m.reason, m.seed, m.seconds)
            try:
                self._db.execute(f"{verb} INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                place = f"candidate {candidate}, {phase}, repeat {repeat}, {m.metric}"
                raise StudyError(f"{self.path}: {place}: is measured already, or not valid ({error})") from None
        if phase == "search" and any(m.state is not State.MEASURED for m in measurements):
            self._failed.add(candidate)

    # Evaluations

    def pending(self) -> list[Evaluation]:
        """What was asked for and not told, in the order of asking."""
        query = (
            "SELECT e.id, ask, candidate, name, first_repeat, repeats FROM evaluations e JOIN phases p ON p.id = phase "
            "WHERE told IS NULL ORDER BY e.id"
        )
        return [Evaluation(*row) for row in self._rows(query)]

    def tell(self, evaluation_ids: Sequence[int], state: dict[str, Any]) -> None:
        """Notes that a strategy has been told evaluations, in this order, and its state behind that.

        Raises:
            StudyError: one is not there or was told before; none is then noted.
        """
        with self._transaction():
            for place, id in enumerate(evaluation_ids):
                query = "UPDATE evaluations SET told = ? WHERE id = ? AND told IS NULL"
                if not self._db.execute(query, (self._told + place, id)).rowcount:
                    raise StudyError(f"{self.path}: evaluation {id} is not there, or was told before")
            put_meta(self._db, {"state": state})
        self._told += len(evaluation_ids)


_INSTEAD = "it can be read and be a --warm-start, but not be continued"


def _check_version(path: Path) -> None:
    """Migrates a study of an earlier version, and raises StudyError."""
    db = connect(path)
    try:
        version = version_of(db, path)
    finally:
        db.close()
    if version != SCHEMA_VERSION:
        migrate(path)
        raise StudyError(f"{path}: was written by another version (the original is now {ORIGINAL}), so {_INSTEAD}")


def _with(sub: SubBlock, graph: BlockGraph) -> SubBlock:
    return sub if sub.graph is graph else replace(sub, graph=graph)


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, old value, new value) wherever two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path, old, new
