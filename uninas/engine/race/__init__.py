"""The race: the best of a search are trained briefly, and fewer of them for longer, on the user's own data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazily
from .config import RaceConfig

if TYPE_CHECKING:
    from .run import RaceResult, race

__all__ = ["RaceConfig", "RaceResult", "race"]

__getattr__ = lazily(__name__, {"run": ("RaceResult", "race")})
