"""Two fixed halves of a table: on one, members and settings are chosen; on the other, what was chosen is judged.

A network is in the choosing half if the SHA-256 of "half/" and its key begins with an even byte. That depends on
nothing but the network: not on the table's order or size, on seeds, or on what was drawn of it; and equal networks stay
together.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from ..errors import nearest
from .errors import RankingError

Half = Literal["choose", "judge"]


def half_of(key: str) -> Half:
    """The half that the network of this key is in."""
    return "judge" if hashlib.sha256(f"half/{key}".encode()).digest()[0] % 2 else "choose"


def checked_half(name: str) -> Half:
    """The half of that name. Raises RankingError if there is none."""
    for half in get_args(Half):
        if name == half:
            return half
    raise RankingError(f"there is no half {name!r}; {nearest(name, get_args(Half))}")
