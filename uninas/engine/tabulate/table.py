"""The folder of a table of trained networks.

    recipe.json         how networks were drawn, and how each task was trained
    networks.json.gz    {"schema": 1, "genotypes": {key: genotype}, "drawn": {key: {"family", "how", "band"}}}, in order
    results.csv         one row a training; a row is complete when its line ends

A process may die while it writes: files are replaced whole, and a line that was cut off is dropped when it is read.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import StudyError
from ...files import make_folder, replacing
from ...genotype import Genotype
from ...search.study.lock import Lock
from .draw import Drawn

RECIPE, NETWORKS, RESULTS = "recipe.json", "networks.json.gz", "results.csv"
SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """One training."""

    key: str
    task: str
    seed: int
    accuracy: float | None
    """Top-1 in percent on the held-out images; None when the training failed."""
    loss: float | None
    """Mean cross-entropy there, in nats."""
    params: int
    macs: int
    """Of one image of the task, with its head."""
    depth: int
    """Blocks."""
    family: str
    how: str
    seconds: float
    failure: str
    """Why there is no accuracy; empty when there is one."""

    @property
    def place(self) -> tuple[str, str, int]:
        """What a row is of: there is one for each."""
        return self.key, self.task, self.seed


class TableFolder:
    """Reads and writes a table. One process writes; any number may read.

    What writes raises StudyError, which names the file, where it cannot.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process adds to the table meanwhile. Raises StudyError: one does, or there can be no folder."""
        make_folder(self.folder, StudyError)
        lock = Lock(self.folder, "adding to this table")
        try:
            yield
        finally:
            lock.release()

    @property
    def recipe(self) -> dict[str, Any] | None:
        """How the table is made; None where there is none yet. Raises StudyError when it is not readable."""
        path = self.folder / RECIPE
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise StudyError(f"{path}: is not JSON: {error}") from None
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise StudyError(f"{path}: is not the recipe of a table of schema {SCHEMA}")
        return found

    def write_recipe(self, recipe: dict[str, Any]) -> None:
        """Replaces the recipe."""
        _replace(self.folder / RECIPE, (json.dumps({"schema": SCHEMA, **recipe}, indent=1) + "\n").encode())

    def networks(self) -> list[Drawn]:
        """The networks, in the order in which they were drawn. Raises StudyError."""
        path = self.folder / NETWORKS
        if not path.is_file():
            return []
        try:
            data = json.loads(gzip.decompress(path.read_bytes()))
            genotypes, drawn = data["genotypes"], data["drawn"]
            return [Drawn(Genotype.from_dict(genotypes[key]), **drawn[key]) for key in genotypes]
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{path}: is not the networks of a table: {error}") from None

    def write_networks(self, networks: list[Drawn]) -> None:
        """Replaces the networks."""
        genotypes = {drawn.genotype.key: drawn.genotype.to_dict() for drawn in networks}
        how = {d.genotype.key: {"family": d.family, "how": d.how, "band": d.band} for d in networks}
        text = json.dumps({"schema": SCHEMA, "genotypes": genotypes, "drawn": how}, separators=(",", ":"))
        _replace(self.folder / NETWORKS, gzip.compress(text.encode(), mtime=0))

    def rows(self) -> Iterator[Row]:
        """The complete rows. Raises StudyError for a line that is no row."""
        path = self.folder / RESULTS
        if not path.is_file():
            return
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
        for number, found in enumerate(csv.DictReader(io.StringIO(whole)), start=2):
            try:
                yield Row(**{field.name: _parsed(str(field.type), found[field.name]) for field in fields(Row)})
            except (KeyError, TypeError, ValueError) as error:
                raise StudyError(f"{path}, line {number}: is no row of a table: {error!r}") from None

    def append(self, row: Row) -> None:
        """Adds a row, on disk when this returns."""
        path = self.folder / RESULTS
        try:
            with path.open("ab") as file:
                file.write(_lines([row], head=not file.tell()))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:  # `mend` takes away what was written of the row
            raise StudyError(f"{path}: cannot write: {error.strerror or error}") from None

    def replace(self, row: Row) -> None:
        """Puts a row in the place of that of the same training: whoever looks sees the old one or the new one."""
        rows = [row if row.place == old.place else old for old in self.rows()]
        _replace(self.folder / RESULTS, _lines(rows, head=True))

    def mend(self) -> None:
        """Takes away a last line that was cut off."""
        path = self.folder / RESULTS
        if path.is_file():
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                _replace(path, whole)


def _parsed(kind: str, text: str) -> Any:
    if "None" in kind and text == "":
        return None
    return int(text) if kind == "int" else float(text) if "float" in kind else text


def _lines(rows: Iterable[Row], head: bool) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return out.getvalue().encode()


def _replace(path: Path, content: bytes) -> None:
    with replacing(path, StudyError) as staging, staging.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
