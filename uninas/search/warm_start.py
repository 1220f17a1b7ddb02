"""Evaluated networks of another study, to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SpaceError, StudyError
from .config import SearchConfig
from .limits import Limits
from .measurement import Measurement
from .space.base import Space
from .study import NewCandidate, Study
from .table import SEARCH

SCORING = ("proxy_size", "proxy_batch", "proxy_classes", "device", "versions")
"""Settings that both studies share: scores are compared only with scores that were made alike. Seeds may differ."""


@dataclass(frozen=True)
class Warm:
    """A candidate with the measurements of the phase "search" that came with it, by repeat."""

    row: NewCandidate
    measurements: dict[int, list[Measurement]]


def warm_candidates(
    config: SearchConfig,
    study: Study,
    space: Space,
    limits: Limits,
    metrics: Sequence[str],
    starts: Sequence[NewCandidate],
) -> list[Warm]:
    """The networks of `config.warm_start` that have all metrics, lie inside the space and meet the limits.

    Raises:
        StudyError: there is no such study, its networks were scored in another way, or none of them can be used.
    """
    if config.warm_start is None:
        return []
    source = Study.open(config.warm_start)
    ours = study.meta("settings")
    for name in SCORING:
        if source.settings.get(name) != ours[name]:
            raise StudyError(
                f"{config.warm_start}: its networks were scored with {name} = {source.settings.get(name)!r}, this "
                f"search scores with {ours[name]!r}; use the same, or begin at its best network with --start"
            )
    found: list[Warm] = []
    keys = {row.genotype.key for row in starts}
    for candidate in source.candidates():
        by_repeat: dict[int, list[Measurement]] = {}
        repeat = 0
        while measured := source.measured(candidate.id, SEARCH, repeat):
            by_repeat[repeat] = [measured[metric] for metric in metrics if metric in measured]
            repeat += 1
        if not by_repeat or any(len(row) < len(metrics) for row in by_repeat.values()) or candidate.key in keys:
            continue
        genotype = study.intern(source.genotype(candidate.id))
        cost = limits.cost(genotype)
        if limits.excess(cost) or not _inside(space, genotype):
            continue
        keys.add(candidate.key)
        number = len(starts) + len(found)
        origin = f"{config.warm_start.name}/{candidate.id}"
        row = NewCandidate(number, genotype, None, None, candidate.move, 0, cost.params, cost.macs, origin)
        found.append(Warm(row, by_repeat))
    if not found:
        raise StudyError(
            f"{config.warm_start}: none of its networks has {', '.join(metrics)} measured, lies inside of space "
            f"{space.name!r} and meets the limits"
        )
    return found


def _inside(space: Space, genotype: object) -> bool:
    try:
        space.check(genotype)  # type: ignore[arg-type]
    except SpaceError:
        return False
    return True
