"""Numbers as people write them: `30M` parameters, `4.5G` MACs, an input of `224` or `800x1280`, `20ms@1x224`, `4GB`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .errors import UninasError

if TYPE_CHECKING:
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


class LatencyBound(NamedTuple):
    """A time for a forward pass of a batch; written `20ms@1x224` or `20ms@8x800x1280`."""

    seconds: float
    batch: int
    height: int
    width: int

    @property
    def shape(self) -> str:
        """The input alone, `1x224`: two latencies can be compared where these are equal."""
        return format_shape(self.batch, (self.height, self.width))

    def __str__(self) -> str:
        return f"{1000 * self.seconds:g}ms@{self.shape}"


def format_shape(batch: int, size: Size) -> str:
    """1, (224, 224) -> `1x224`."""
    height, width = size
    return f"{batch}x{height}" if height == width else f"{batch}x{height}x{width}"


def parse_shape(text: str) -> tuple[int, Size]:
    """`1x224` -> 1, (224, 224); `8x800x1280` -> 8, (800, 1280).

    Raises:
        UninasError: not two or three positive whole numbers.
    """
    parts = [part.strip() for part in text.lower().split("x")]
    if len(parts) not in (2, 3) or not all(part.isdecimal() and int(part) for part in parts):
        raise UninasError(f"{text!r} is not an input; write batch x side such as 1x224, or batch x height x width")
    return int(parts[0]), (int(parts[1]), int(parts[-1]))


def parse_latency(text: str) -> LatencyBound:
    """`20ms@1x224` -> 0.02 s for one image of 224 x 224.

    Raises:
        UninasError: not a time with a unit (us, ms or s), or not an input.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s)\s*@\s*(\S+)\s*", text.lower())
    seconds = float(match[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[match[2]] if match else 0.0
    if not match or not seconds:
        raise UninasError(f"{text!r} is not a latency; write a time and an input such as 20ms@1x224")
    batch, (height, width) = parse_shape(match[3])
    return LatencyBound(seconds, batch, height, width)


def parse_seconds(text: str) -> float:
    """`90`, `90s`, `5m`, `2h` -> seconds.

    Raises:
        UninasError: not a positive number with an optional s, m or h.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)\s*", text.lower())
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not seconds:
        raise UninasError(f"{text!r} is not a time; write seconds such as 90, or 5m or 2h")
    return seconds


def parse_bytes(text: str) -> int:
    """`4G` or `4GB` -> 4 * 10**9 bytes; `512MiB` -> 512 * 2**20.

    Raises:
        UninasError: not a positive number with an optional unit.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(I?)B?\s*", text.upper())
    scale = 1
    if match and match[2]:
        scale = 1024 ** "_KMGT".index(match[2]) if match[3] else _SCALES[match[2]]
    number = round(float(match[1]) * scale) if match else 0
    if number < 1:
        raise UninasError(f"{text!r} is not a number of bytes; write one such as 4GB or 512MiB")
    return number


def format_bytes(number: float) -> str:
    """4200000000 -> `4.20GB`."""
    return f"{format_count(number)}B"
