"""What a search maximises: a function of the table of all evaluated networks.

    Objective.parse("vkdnw_agg")              a log-rank aggregate: its values change as the table grows
    Objective.parse("naswot")                 one proxy
    Objective.parse("-params")                one that is minimised
    parse_objectives("vkdnw_agg,-params,-latency")  several, for the front of what nothing beats in all

What is stored of a network is what was measured; ranks follow from the table and are never stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import proxies
from ..errors import ProxyError, UninasError
from ..units import format_shape, parse_shape
from .table import COST_METRICS, LATENCY, SEARCH, Table, latency_metric

DEFAULT_LATENCY = "1x224"


@dataclass(frozen=True)
class Objective:
    """Higher is better.

    Attributes:
        name: as it was written.
        metrics: what has to be known of a network: proxies, `params`, `macs`, or `latency@1x224`.
        signs: -1 for a metric of which less is better.
        ranked: whether the value is the sum over the metrics of log(rank / n), rank n for the best of n networks (Lee
            and Ham, "AZ-NAS", CVPR 2024), or the one metric itself.
    """

    name: str
    metrics: tuple[str, ...]
    signs: tuple[int, ...]
    ranked: bool

    @classmethod
    def parse(cls, text: str, latency: str = DEFAULT_LATENCY) -> Objective:
        """An objective from text: a proxy, an aggregate, `logrank(...)`, `params`, `macs` or `latency`; "-" minimises.

        Args:
            latency: the input that `latency` alone stands for, batch x side.

        Raises:
            ProxyError: the text or a name in it is not understood.
        """
        text = text.strip()
        minimised, plain = text.startswith("-"), text.removeprefix("-").strip()
        if plain.startswith(LATENCY):
            return cls(text, (_latency_metric(plain, latency),), (-1,), ranked=False)
        try:
            found = proxies.parse(plain)
        except ProxyError as error:
            raise ProxyError(f"{error} (latency@{latency} can be measured too)") from None
        ranked = plain in proxies.AGGREGATES or plain.startswith("logrank")
        if minimised and ranked:
            raise ProxyError(f"{text!r}: an aggregate of ranks is not minimised; write its name without the minus")
        signs = tuple(-1 if minimised or not proxies.get(name).higher_is_better else 1 for name in found.proxies)
        return cls(text, found.proxies, signs, ranked)

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics that proxies have to measure; costs are counted and latencies are measured apart."""
        return tuple(name for name in self.metrics if name not in COST_METRICS and not name.startswith(LATENCY))

    @property
    def latencies(self) -> tuple[str, ...]:
        """The latencies among the metrics."""
        return tuple(name for name in self.metrics if name.startswith(LATENCY))

    def scores(self, table: Table) -> np.ndarray:
        """The value of every candidate; minus infinity for those that are not complete."""
        if not self.ranked:
            values = self.signs[0] * self._ranked_values(table, self.metrics[0])
        else:
            values = np.zeros(table.count)
            for metric, sign in zip(self.metrics, self.signs):
                ranks = table.ranks(metric)
                if not ranks.count:
                    return np.full(table.count, -math.inf)
                found = np.full(table.count, np.nan)
                known = ranks.ranks()[: table.count]
                found[: len(known)] = known if sign > 0 else ranks.count + 1 - known
                values += np.log(found / ranks.count)
        return np.where(np.isnan(values), -math.inf, values)

    def _ranked_values(self, table: Table, metric: str) -> np.ndarray:
        values = np.full(table.count, np.nan)
        known = table.ranks(metric).values[: table.count]
        values[: len(known)] = known
        return values

    def score(self, table: Table, row: int) -> float:
        """The value of one candidate; minus infinity when it is not complete."""
        if not table.is_complete(row):
            return -math.inf
        if not self.ranked:
            return float(self.signs[0] * table.ranks(self.metrics[0]).values[row])
        return sum(
            math.log(self._directed(float(table.ranks(metric).ranks([row])[0]), sign, table.ranks(metric).count))
            for metric, sign in zip(self.metrics, self.signs)
        )

    @staticmethod
    def _directed(rank: float, sign: int, count: int) -> float:
        """The share of networks that a rank is above, itself counted."""
        return (rank if sign > 0 else count + 1 - rank) / count

    def by_repeat(self, table: Table, row: int, phase: str = SEARCH) -> np.ndarray:
        """The value on each repeat of a phase alone, against the means of the phase "search"; NaN where one is missing.

        Candidates share weights and images within a repeat, so that differences of two candidates repeat by repeat
        vary less than the values.
        """
        columns = [table.values(row, metric, phase) for metric in self.metrics]
        repeats = max((len(column) for column in columns), default=0)
        total = np.zeros(repeats)
        for metric, sign, column in zip(self.metrics, self.signs, columns):
            fixed = metric in COST_METRICS or metric.startswith(LATENCY)
            padded = np.full(repeats, column[0] if fixed and len(column) else np.nan)
            padded[: len(column)] = column
            total += [self._contribution(table, metric, sign, value) for value in padded]
        return total

    def _contribution(self, table: Table, metric: str, sign: int, value: float) -> float:
        if not self.ranked or math.isnan(value):
            return sign * value
        ranks = table.ranks(metric)
        rank = min(max(ranks.rank_of(value), 0.5), ranks.count + 0.5)
        return math.log(max(self._directed(rank, sign, ranks.count), 0.5 / ranks.count))


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
