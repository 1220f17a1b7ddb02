"""The whole search: from a configuration to `study.sqlite`, `best.yaml` and `summary.json`."""

from __future__ import annotations

from collections.abc import Callable

from .config import SearchConfig
from .summary import Progress, Summary


def search(config: SearchConfig, on_progress: Callable[[Progress], None] | None = None) -> Summary:
    """Searches, and writes `study.sqlite`, `best.yaml` and `summary.json` in `config.out`.

    Args:
        on_progress: called after every score.

    Raises:
        SpaceError: the space, the start or the limits cannot be used.
        StudyError: the folder cannot be written, holds a study already, or holds one with another configuration.
        Interrupted: by KeyboardInterrupt; the study is valid, and the message says how to go on.
        UninasError: an unknown proxy.
    """
    raise NotImplementedError
