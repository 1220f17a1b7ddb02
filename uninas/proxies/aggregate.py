"""Aggregates of proxies over a population of networks, by their ranks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uninas.errors import ProxyError, nearest
from uninas.proxies.score import PROXIES

Row = Mapping[str, "float | None"]
"""Values of one network by proxy; None or NaN where a proxy failed."""


@dataclass(frozen=True)
class LogRank:
    """Sum over proxies of log(rank / n), n networks, rank n for the best. Lee and Ham, "AZ-NAS", CVPR 2024."""

    name: str
    proxies: tuple[str, ...]

    def __call__(self, table: Sequence[Row]) -> np.ndarray:
        """Scores of the networks of a table, higher is better.

        Equal values share the mean of their ranks. Networks on which a proxy failed rank last in it.

        Raises:
            ProxyError: a proxy is in no row of the table.
        """
        return sum((np.log(ranks(table, name) / len(table)) for name in self.proxies), np.zeros(len(table)))


AGGREGATES: dict[str, LogRank] = {
    aggregate.name: aggregate
    for aggregate in (
        LogRank("vkdnw_agg", ("vkdnw_single", "jacov", "expressivity", "trainability", "macs")),
        LogRank("az_nas", ("expressivity", "progressivity", "trainability", "complexity")),
        LogRank("uninas_agg", ("params", "macs", "expressivity", "progressivity", "trainability", "jacov", "naswot")),
    )
}
"""VKDNW_agg: Týbl and Neumann, CVPR 2025. AZ-NAS: Lee and Ham, CVPR 2024.

uninas_agg is ours: two counts of size, two measures of features, how gradients pass, and two measures of how well
inputs are told apart (by gradients and by gates). How its members were chosen: docs/proxies.md.
"""


def parse(text: str) -> LogRank:
    """The aggregate that `text` names: one of AGGREGATES, a single proxy, or `logrank(macs, jacov, ...)`.

    Raises:
        ProxyError: the text or a name in it is not understood.
    """
    text = text.strip()
    if text in AGGREGATES:
        return AGGREGATES[text]
    written = re.fullmatch(r"logrank\((.*)\)", text, re.DOTALL)
    names = tuple(name.strip() for name in written[1].split(",")) if written else (text,)
    if "" in names:
        raise ProxyError(f"{text!r}: write it as logrank(macs, jacov, vkdnw_single)")
    for name in names:
        if name not in PROXIES:
            choices = [*PROXIES, *([] if written else [*AGGREGATES, "logrank(...)"])]
            raise ProxyError(f"there is no proxy {name!r}; {nearest(name, choices)}")
    return LogRank(f"logrank({', '.join(names)})" if written else text, names)


def split_names(text: str) -> tuple[str, ...]:
    """Names of proxies and aggregates separated by commas, of which those in brackets separate nothing."""
    names, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            names.append("")
        else:
            names[-1] += letter
    return tuple(name.strip() for name in names if name.strip())


def ranks(table: Sequence[Row], name: str) -> np.ndarray:
    """Rank of each row by one proxy, from 1 (worst) to n; equal values share the mean of their ranks."""
    if table and not any(name in row for row in table):
        raise ProxyError(f"the table has no proxy {name!r}; {nearest(name, {key for row in table for key in row})}")
    sign = 1 if name not in PROXIES or PROXIES[name].higher_is_better else -1
    values = np.array([_value(row.get(name), sign) for row in table], dtype=float)
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[groups]


def _value(value: float | None, sign: int) -> float:
    return -math.inf if value is None or math.isnan(value) else sign * value
