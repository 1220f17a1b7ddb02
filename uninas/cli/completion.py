"""What a shell completes (`uninas --install-completion`): names of networks, protocols, spaces, proxies, strategies."""

from __future__ import annotations

from collections.abc import Iterable
from glob import escape, glob
from pathlib import Path

from .. import resources
from ..resources import SUFFIXES


def genotypes(incomplete: str) -> list[str]:
    """Known networks, and files."""
    from ..blocks import KNOWN

    return [*_beginning(incomplete, KNOWN), *_files(incomplete)]


def protocols(incomplete: str) -> list[str]:
    """Protocols that travel with uninas, and files."""
    return [*_beginning(incomplete, resources.available("protocols")), *_files(incomplete)]


def spaces(incomplete: str) -> list[str]:
    """Spaces that travel with uninas, and files."""
    return [*_beginning(incomplete, resources.available("spaces")), *_files(incomplete)]


def proxies(incomplete: str) -> list[str]:
    """Proxies and aggregates, behind those that are written already: `naswot,vk` becomes `naswot,vkdnw`."""
    from ..proxies import AGGREGATES, available

    written, comma, last = incomplete.rpartition(",")
    return [written + comma + name for name in _beginning(last, (*available(), *AGGREGATES))]


def strategies(incomplete: str) -> list[str]:
    """Strategies of a search."""
    from ..search.strategies import STRATEGIES

    return _beginning(incomplete, STRATEGIES)


def data_sets(incomplete: str) -> list[str]:
    """Data sets that can be made."""
    from ..toydata.make import KINDS

    return _beginning(incomplete, KINDS)


def _beginning(start: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(start)]


def _files(start: str) -> list[str]:
    """Folders, and files that may hold a genotype, a protocol or a space: a shell completes no others here."""
    found = sorted(glob(f"{escape(start)}*"))
    return [f"{name}/" if Path(name).is_dir() else name for name in found if _is_data(Path(name))]


def _is_data(path: Path) -> bool:
    return path.is_dir() or path.suffix in SUFFIXES
