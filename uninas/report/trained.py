"""Results of trained networks from a CSV file, by the keys of networks."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StudyError

NOT_RESULTS = ("key", "seed", "params", "macs")


def read_trained(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns by name: the mean of what the file has for each of `keys`, NaN where it has nothing.

    The file has a column `key` (first digits do) and columns of numbers; a column `task` becomes part of their names.

    Raises:
        StudyError: the file cannot be read, or has nothing for any key.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not lines or "key" not in lines[0]:
        raise StudyError(f"{path}: expected a CSV file with a column `key` and columns of numbers such as `accuracy`")
    rows: dict[str, dict[str, list[float]]] = {}
    for number, line in enumerate(lines, 2):
        key = (line["key"] or "").strip().lower()
        if not key:
            raise StudyError(f"{path}: line {number}: `key` is empty; write the first digits of a candidate's key")
        for name, text in line.items():
            value = _number(text)
            if name not in NOT_RESULTS and value is not None:
                label = f"{name} ({line['task']})" if line.get("task") else name
                rows.setdefault(label, {}).setdefault(key, []).append(value)
    columns = {}
    for name, found in rows.items():
        column = np.full(len(keys), np.nan)
        for row, key in enumerate(keys):
            numbers = [value for beginning, values in found.items() if key.startswith(beginning) for value in values]
            if numbers:
                column[row] = math.fsum(numbers) / len(numbers)
        if np.isfinite(column).any():
            columns[name] = column
    if not columns:
        raise StudyError(f"{path}: none of its keys is one of the {len(keys)} candidates of these runs")
    return columns


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
