"""What a search maximises: a function of the table of all evaluated networks.

    Objective.parse("vkdnw_agg")              a sum over ranks: its values change as the table grows
    Objective.parse("logrank(params, residual(naswot))")  one that counts size once, and the rest given size
    Objective.parse("naswot")                 one proxy
    Objective.parse("-params")                one that is minimised
    parse_objectives("vkdnw_agg,-params,-latency")  several, for the front of what nothing beats in all

What is stored of a network is what was measured; ranks follow from the table and are never stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import proxies
from ..errors import ProxyError, UninasError
from ..units import format_shape, parse_shape
from .given_size import GivenSize, directed
from .table import COST_METRICS, LATENCY, SEARCH, Ranks, Table, latency_metric

DEFAULT_LATENCY = "1x224"


@dataclass(frozen=True)
class Objective:
    """Higher is better.

    Attributes:
        name: as it was written.
        metrics: what has to be known of a network: proxies, `params`, `macs`, or `latency@1x224`.
        signs: -1 for a metric of which less is better.
        scale: what the rank of each metric adds to the value (`uninas.proxies.SCALES`), or None: the value is the one
            metric itself.
        given_size: for each metric of such a sum, whether it is ranked by what remains given the size of the networks.
    """

    name: str
    metrics: tuple[str, ...]
    signs: tuple[int, ...]
    scale: str | None
    given_size: tuple[bool, ...] = ()

    @classmethod
    def parse(cls, text: str, latency: str = DEFAULT_LATENCY) -> Objective:
        """An objective from text: a proxy, an aggregate, `logrank(...)`, `logodds(...)`, `params`, `macs` or `latency`.

        "-" before a single one minimises.

        Args:
            latency: the input that `latency` alone stands for, batch x side.

        Raises:
            ProxyError: the text or a name in it is not understood.
        """
        text = text.strip()
        minimised, plain = text.startswith("-"), text.removeprefix("-").strip()
        if plain.startswith(LATENCY):
            return cls(text, (_latency_metric(plain, latency),), (-1,), None)
        try:
            found = proxies.parse(plain)
        except ProxyError as error:
            raise ProxyError(f"{error} (latency@{latency} can be measured too)") from None
        scale = None if plain in proxies.PROXIES else found.scale
        if minimised and scale:
            raise ProxyError(f"{text!r}: an aggregate of ranks is not minimised; write its name without the minus")
        terms = found.terms
        signs = tuple(-1 if minimised else proxies.sign_of(term.proxy) for term in terms)
        metrics, given_size = tuple(term.proxy for term in terms), tuple(term.given_size for term in terms)
        return cls(text, metrics, signs, scale, given_size)

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics that proxies have to measure; costs are counted and latencies are measured apart."""
        measured = [name for name in self.metrics if name not in COST_METRICS and not name.startswith(LATENCY)]
        return tuple(dict.fromkeys(measured))

    @property
    def latencies(self) -> tuple[str, ...]:
        """The latencies among the metrics."""
        return tuple(name for name in self.metrics if name.startswith(LATENCY))

    def scores(self, table: Table) -> np.ndarray:
        """The value of every candidate; minus infinity for those that are not complete."""
        if self.scale is None:
            values = self.signs[0] * self._ranked_values(table, self.metrics[0])
        else:
            values = np.zeros(table.count)
            for ranks, sign in self._ranks(table):
                if not ranks.count:
                    return np.full(table.count, -math.inf)
                found = np.full(table.count, np.nan)
                known = ranks.ranks()[: table.count]
                found[: len(known)] = directed(known, sign, ranks.count)
                values += proxies.SCALES[self.scale](found, ranks.count)
        return np.where(np.isnan(values), -math.inf, values)

    def _ranks(self, table: Table) -> Iterator[tuple[Ranks, int]]:
        """For each metric of a sum over ranks, the ranks that count, and their sign."""
        for metric, sign, given_size in zip(self.metrics, self.signs, self.given_size):
            yield (GivenSize.of(table, metric, sign).ranks, 1) if given_size else (table.ranks(metric), sign)

    def _ranked_values(self, table: Table, metric: str) -> np.ndarray:
        values = np.full(table.count, np.nan)
        known = table.ranks(metric).values[: table.count]
        values[: len(known)] = known
        return values

    def score(self, table: Table, row: int) -> float:
        """The value of one candidate; minus infinity when it is not complete."""
        if not table.is_complete(row):
            return -math.inf
        if self.scale is None:
            return float(self.signs[0] * table.ranks(self.metrics[0]).values[row])
        return sum(_share(self.scale, ranks, float(ranks.ranks([row])[0]), sign) for ranks, sign in self._ranks(table))

    def by_repeat(self, table: Table, row: int, phase: str = SEARCH) -> np.ndarray:
        """The value on each repeat of a phase alone, against the means of the phase "search"; NaN where one is missing.

        Candidates share weights and images within a repeat, so that differences of two candidates repeat by repeat
        vary less than the values.
        """
        columns = [table.values(row, metric, phase) for metric in self.metrics]
        repeats = max((len(column) for column in columns), default=0)
        total = np.zeros(repeats)
        given_size = self.given_size or (False,) * len(self.metrics)
        for metric, sign, given, column in zip(self.metrics, self.signs, given_size, columns):
            fixed = metric in COST_METRICS or metric.startswith(LATENCY)
            padded = np.full(repeats, column[0] if fixed and len(column) else np.nan)
            padded[: len(column)] = column
            total += [self._contribution(table, metric, sign, given, value, row) for value in padded]
        return total

    def _contribution(self, table: Table, metric: str, sign: int, given_size: bool, value: float, row: int) -> float:
        """What one value of a metric adds to the objective of a candidate."""
        if self.scale is None or math.isnan(value):
            return sign * value
        ranks, rank = table.ranks(metric), table.ranks(metric).rank_of(value)
        if not given_size:
            return _share(self.scale, ranks, rank, sign)
        found = GivenSize.of(table, metric, sign)
        log_rank = _share("logrank", ranks, rank, sign)
        return _share(self.scale, found.ranks, found.rank_of(log_rank, table.cost(row)), 1)


def _share(scale: str, ranks: Ranks, rank: float, sign: int) -> float:
    """What the rank of a value that need not be in the column adds to a sum: half a rank at least, n + 1/2 at most."""
    within = np.array([min(max(rank, 0.5), ranks.count + 0.5)])
    return float(proxies.SCALES[scale](directed(within, sign, ranks.count), ranks.count)[0])


def _latency_metric(text: str, default: str) -> str:
    """`latency` or `latency@8x320` as the name of a metric."""
    name, _, shape = text.partition("@")
    if name != "latency":
        raise ProxyError(f"there is no {text!r}; write latency, or latency@1x224 for a batch of 1 at 224 x 224")
    try:
        return latency_metric(format_shape(*parse_shape(shape or default)))
    except UninasError as error:
        raise ProxyError(str(error)) from None


def parse_objectives(text: str, latency: str = DEFAULT_LATENCY) -> tuple[Objective, ...]:
    """Objectives separated by commas. Raises ProxyError; also when one is written twice."""
    found = tuple(Objective.parse(name, latency) for name in proxies.split_names(text))
    if not found:
        raise ProxyError("objectives: expected at least one name, such as vkdnw_agg,-params")
    for i, objective in enumerate(found):
        if objective in found[:i]:
            raise ProxyError(f"objectives: {objective.name!r} is written twice")
    return found
