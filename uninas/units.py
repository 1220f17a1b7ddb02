"""Numbers as people write them: `30M` parameters, `4.5G` MACs, an input of `224` or `800x1280`."""

from __future__ import annotations

import re

from .errors import UninasError
from .ops import Size

_SCALES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_count(text: str) -> int:
    """`30M` -> 30000000.

    Raises:
        UninasError: not a positive number with an optional K, M, G or T.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)\s*", text.upper())
    number = float(match[1]) * _SCALES[match[2]] if match else 0.0
    if number < 1:
        raise UninasError(f"{text!r} is not a count; write a positive number such as 30M or 4.5G")
    return round(number)


def format_count(number: float) -> str:
    """26869652 -> `26.87M`."""
    for suffix in ("T", "G", "M", "K"):
        if abs(number) >= _SCALES[suffix]:
            return f"{number / _SCALES[suffix]:.2f}{suffix}"
    return f"{number:.0f}"


def parse_size(text: str) -> Size:
    """`224` -> (224, 224); `800x1280` -> height 800, width 1280.

    Raises:
        UninasError: not one or two positive whole numbers.
    """
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 2 or not all(part.strip().isdigit() and int(part) for part in parts):
        raise UninasError(f"{text!r} is not a size; write one side such as 224, or height x width such as 800x1280")
    return int(parts[0]), int(parts[-1])
