"""Ranks of candidates by what a metric says of them given their size: `residual(metric)` of an aggregate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..proxies import SizeTrend, log_share
from .table import Ranks, Table


@dataclass(frozen=True)
class GivenSize:
    """One metric over the complete candidates of a table.

    Attributes:
        trend: of its log(rank / n) with size.
        ranks: of what remains of them, by candidate.
    """

    trend: SizeTrend
    ranks: Ranks

    @classmethod
    def of(cls, table: Table, metric: str, sign: int) -> GivenSize:
        """Fitted anew when the table has changed, and only then.

        Args:
            sign: -1 for a metric of which less is better.
        """
        return table.cached(("given size", metric, sign), lambda: cls._fit(table, metric, sign))

    @classmethod
    def _fit(cls, table: Table, metric: str, sign: int) -> GivenSize:
        ranks = table.ranks(metric)
        log_ranks = np.full(table.count, np.nan)
        known = ranks.ranks()[: table.count]
        log_ranks[: len(known)] = log_share(directed(known, sign, ranks.count), ranks.count)
        rows = np.flatnonzero(~np.isnan(log_ranks))
        params, macs = (table.column_of(cost)[rows] for cost in ("params", "macs"))
        trend = SizeTrend.fit(log_ranks[rows], params, macs)
        residuals = np.full(table.count, np.nan)
        residuals[rows] = trend.residuals(log_ranks[rows], params, macs)
        found = Ranks()
        found.fill(residuals)
        return cls(trend, found)

    def rank_of(self, log_rank: float, cost: tuple[int, int]) -> float:
        """The rank of a candidate of this cost (parameters, MACs) with this log(rank / n) of the metric."""
        params, macs = (np.array([value]) for value in cost)
        return self.ranks.rank_of(float(self.trend.residuals(np.array([log_rank]), params, macs)[0]))


def directed(ranks: np.ndarray, sign: int, count: int) -> np.ndarray:
    """Ranks among `count` networks, `count` for the best, from those in ascending order of values."""
    return ranks if sign > 0 else count + 1 - ranks
