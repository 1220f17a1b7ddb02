"""What this package raises."""

from __future__ import annotations

import importlib
from types import ModuleType

from ..errors import UninasError


class RankingError(UninasError):
    """A table, an architecture or a ranking that is not valid or cannot be computed."""


def require(module: str) -> ModuleType:
    """An optional package, imported when it is needed.

    Raises:
        RankingError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f'this needs {module} ({error}): pip install "uninas-toolkit[bench]"'
        raise RankingError(message) from error
