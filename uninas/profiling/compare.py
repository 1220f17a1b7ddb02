"""Networks side by side: costs, time, memory and scores, on the same images, each beside the first network's."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import UninasError
from ..genotype import Genotype, cost
from ..ops import Size
from ..report.scores import check_single, score_table
from .measure import profile_network

COUNTED = ("params", "macs")
MEASURED = ("latency", "latency_p90", "peak_memory")


class Value(NamedTuple):
    """A quantity of a network, and how far it is from the first network's."""

    value: float | None
    """None where it could not be had."""
    standard_error: float | None = None
    """Over initialisations, for scores."""
    relative: float | None = None
    """(value - first) / |first|; None where one of them is missing or the first is 0."""
    relative_error: float | None = None
    """Standard error of `relative`: all networks see the same images and seeds, so differences of pairs are taken."""
    repeats: tuple[float, ...] = ()
    """A score for each initialisation."""


@dataclass(frozen=True)
class Compared:
    """One of the networks.

    Attributes:
        name: as it was asked for.
        costs: `params`, `macs` (one image), `latency` and `latency_p90` (s), `peak_memory` (bytes).
        scores: by proxy.
        failures: why a value is missing, by the name of the cost or the proxy.
    """

    name: str
    key: str
    costs: dict[str, Value]
    scores: dict[str, Value]
    failures: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        costs, scores = (
            {name: value._asdict() for name, value in values.items()} for values in (self.costs, self.scores)
        )
        return {"network": self.name, "key": self.key, "costs": costs, "scores": scores, "failures": self.failures}


class ScoreSettings(NamedTuple):
    """How networks are scored: see `uninas.report.scores.score_table`."""

    size: Size = (48, 48)
    batch: int = 16
    classes: int = 10
    repeats: int = 3
    seed: int = 0


DEFAULTS = ScoreSettings()


def compare_networks(
    genotypes: Mapping[str, Genotype],
    *,
    batch: int = 1,
    size: Size = (224, 224),
    classes: int = 1000,
    device: str = "cpu",
    threads: int = 2,
    proxies: Sequence[str] = (),
    scoring: ScoreSettings = DEFAULTS,
    progress: Callable[[int, int, str], None] = lambda done, count, name: None,
) -> list[Compared]:
    """Measures each network by itself, one after the other; what fails for one is a failure of that one.

    Args:
        genotypes: by name, in order; the first is what others are compared with.
        batch, size, classes, device, threads: as for `profile_network`.
        proxies: names of single proxies.
        scoring: the same noise and the same seeds for all.
        progress: called with how many are done, how many there are, and the name of the next.

    Raises:
        ProxyError: a proxy that is unknown, or that ranks networks among each other.
    """
    check_single(proxies)
    found: list[Compared] = []
    for name, genotype in genotypes.items():
        progress(len(found), len(genotypes), name)
        failures: dict[str, str] = {}
        costs: dict[str, Value] = {quantity: Value(None) for quantity in (*COUNTED, *MEASURED)}
        scores = {proxy: Value(None) for proxy in proxies}
        with _noting(failures, COUNTED):
            counted = cost(genotype, size, classes)
            costs.update({"params": Value(counted.params), "macs": Value(counted.macs)})
        with _noting(failures, MEASURED):
            profile = profile_network(
                genotype, batch=batch, size=size, classes=classes, device=device, threads=threads, by_part=False
            )
            measured = (*profile.latency[:2], profile.memory.peak)
            costs.update({quantity: Value(value) for quantity, value in zip(MEASURED, measured)})
        if proxies:
            with _noting(failures, proxies):
                table = score_table(genotype, proxies, *scoring, device)
                scores = {proxy: _score(row) for proxy, row in table.items()}
                failures.update({proxy: row["failure"] for proxy, row in table.items() if row["mean"] is None})
        first = found[0] if found else Compared(name, genotype.key, costs, scores, failures)
        costs = {quantity: _beside(value, first.costs[quantity]) for quantity, value in costs.items()}
        scores = {proxy: _beside(value, first.scores[proxy]) for proxy, value in scores.items()}
        found.append(Compared(name, genotype.key, costs, scores, failures))
    return found


@contextmanager
def _noting(failures: dict[str, str], names: Sequence[str]) -> Iterator[None]:
    """One of our errors inside is why `names` are missing."""
    try:
        yield
    except UninasError as error:
        failures.update(dict.fromkeys(names, str(error)))


def _score(row: Mapping[str, Any]) -> Value:
    repeats = tuple(value for value in row["values"] if value is not None)
    return Value(row["mean"], row["standard_error"], repeats=repeats)


def _beside(value: Value, first: Value) -> Value:
    """The value with how far it is from the first network's."""
    if value.value is None or not first.value or value is first:
        return value
    relative_error = None
    if len(value.repeats) > 1:  # both have all of theirs: neither value is missing
        differences = [mine - theirs for mine, theirs in zip(value.repeats, first.repeats)]
        relative_error = statistics.stdev(differences) / math.sqrt(len(differences)) / abs(first.value)
    return value._replace(relative=(value.value - first.value) / abs(first.value), relative_error=relative_error)
