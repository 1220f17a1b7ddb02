"""The race: the best of a search are trained briefly, and fewer of them for longer, on the user's own data."""

from .config import RaceConfig
from .run import RaceResult, race

__all__ = ["RaceConfig", "RaceResult", "race"]
