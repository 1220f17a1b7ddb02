"""Aggregates of proxies over a population of networks, by their ranks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uninas.errors import ProxyError, nearest
from uninas.proxies.registry import PROXIES, sign_of

Row = Mapping[str, "float | None"]
"""Values of one network by proxy; None or NaN where a proxy failed."""


SIZE = ("params", "macs")
"""What a residual is taken given."""


@dataclass(frozen=True)
class Term:
    """A member of an aggregate: a proxy, or what it says of a network given the network's size."""

    proxy: str
    given_size: bool = False

    @classmethod
    def parse(cls, text: str) -> Term:
        """The term `naswot` or `residual(naswot)`.

        Raises:
            ProxyError: there is no such proxy, or it is itself the size.
        """
        written = re.fullmatch(r"residual\(([^()]*)\)", text)
        name = written[1].strip() if written else text
        if name in AGGREGATES:
            raise ProxyError(f"{name} is an aggregate and no member of one; write its own members")
        if name not in PROXIES:
            raise ProxyError(f"there is no proxy {name!r}; {nearest(name, PROXIES)}")
        if written and name in SIZE:
            raise ProxyError(f"residual({name}) is nothing: residuals are given {' and '.join(SIZE)}; write {name}")
        return cls(name, given_size=bool(written))

    def __str__(self) -> str:
        return f"residual({self.proxy})" if self.given_size else self.proxy


def log_share(ranks: np.ndarray, count: int) -> np.ndarray:
    """log(rank / n) of ranks among `count` networks: 0 for the best."""
    return np.log(ranks / max(count, 1))


def log_odds(ranks: np.ndarray, count: int) -> np.ndarray:
    """log(rank / (n + 1 - rank)) of ranks among `count` networks: 0 in the middle, as far from it above as below."""
    return np.log(ranks / (count + 1 - ranks))


SCALES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"logrank": log_share, "logodds": log_odds}
"""What a rank (n for the best of n networks) adds to a sum, by how the sum is written."""


def written(scale: str, members: Sequence[str]) -> str:
    """A sum as `parse` reads it: `logodds(macs, residual(jacov))`."""
    return f"{scale}({', '.join(members)})"


@dataclass(frozen=True)
class RankSum:
    """Sum over members of what `scale` makes of a network's rank.

    `logrank` is the published one (Lee and Ham, "AZ-NAS", CVPR 2024): log(rank / n) tells the lower ranks apart, and
    next to nothing of the upper ones, so that among good networks it is hardly worth being the best in a member.
    `logodds`, log(rank / (n + 1 - rank)), the odds that the network is better than another one, tells both ends apart.

    A member is a proxy, or `residual(proxy)`: what remains of the proxy's own log(rank / n) when its part that is
    linear in log parameters and log MACs, fitted by least squares over the table, is taken off. So

        logrank(params, macs, residual(naswot), residual(expressivity))

    counts size where it is written and nowhere else, and the rest among networks as if they were equal in size. A
    member that is written twice counts twice.

    Attributes:
        name: as in tables and on the command line.
        members: names of proxies, or `residual(name)`.
        scale: one of SCALES.
    """

    name: str
    members: tuple[str, ...]
    scale: str = "logrank"

    @property
    def terms(self) -> tuple[Term, ...]:
        """The members, parsed."""
        return tuple(map(Term.parse, self.members))

    @property
    def proxies(self) -> tuple[str, ...]:
        """The proxies that have to be measured, each once."""
        size = SIZE if any(term.given_size for term in self.terms) else ()
        return tuple(dict.fromkeys([*(term.proxy for term in self.terms), *size]))

    def __call__(self, table: Sequence[Row]) -> np.ndarray:
        """Scores of the networks of a table, higher is better.

        Equal values share the mean of their ranks. Networks on which a proxy failed rank last in it.

        Raises:
            ProxyError: a proxy is in no row of the table.
        """
        columns = (_residual_ranks(table, t.proxy) if t.given_size else ranks(table, t.proxy) for t in self.terms)
        return sum((SCALES[self.scale](column, len(table)) for column in columns), np.zeros(len(table)))


@dataclass(frozen=True)
class SizeTrend:
    """The part of log ranks that is linear in log parameters and log MACs.

    Attributes:
        coefficients: of 1, log parameters and log MACs.
    """

    coefficients: np.ndarray

    @classmethod
    def fit(cls, log_ranks: np.ndarray, params: np.ndarray, macs: np.ndarray) -> SizeTrend:
        """By least squares over n networks; the smallest coefficients where sizes do not tell them all."""
        return cls(np.linalg.lstsq(_regressors(params, macs), log_ranks, rcond=None)[0])

    def residuals(self, log_ranks: np.ndarray, params: np.ndarray, macs: np.ndarray) -> np.ndarray:
        """What remains of log ranks, to nine places, so that rounding orders no networks that are equal."""
        return np.round(log_ranks - _regressors(params, macs) @ self.coefficients, 9)


def _regressors(params: np.ndarray, macs: np.ndarray) -> np.ndarray:
    """n x 3: 1 and the logarithms, of a count of at least 1."""
    sizes = np.log(np.maximum(np.stack([params, macs], axis=1).astype(float), 1))
    return np.concatenate([np.ones((len(sizes), 1)), sizes], axis=1)


def _residual_ranks(table: Sequence[Row], name: str) -> np.ndarray:
    """Rank of each row by the residual of a proxy; rows without a value of the proxy or of the size are last."""
    known = [i for i, row in enumerate(table) if all(_value(row.get(key), 1) > -math.inf for key in (name, *SIZE))]
    for key in (name, *SIZE):
        ranks(table, key)  # says so if no row has it
    residuals = np.full(len(table), -math.inf)
    if known:
        rows = [table[i] for i in known]
        params, macs = (np.array([row[key] for row in rows], dtype=float) for key in SIZE)
        log_ranks = log_share(ranks(rows, name), len(rows))
        residuals[known] = SizeTrend.fit(log_ranks, params, macs).residuals(log_ranks, params, macs)
    return _ranks_of(residuals)


AGGREGATES: dict[str, RankSum] = {
    aggregate.name: aggregate
    for aggregate in (
        RankSum("vkdnw_agg", ("vkdnw_single", "jacov", "expressivity", "trainability", "macs")),
        RankSum("az_nas", ("expressivity", "progressivity", "trainability", "complexity")),
        RankSum("learning_agg", ("generalization", "memorization", "near_mean", "expressivity_mean")),
        RankSum("uninas_agg", ("params", "macs", "expressivity", "progressivity", "trainability", "jacov", "naswot")),
    )
}
"""VKDNW_agg: Týbl and Neumann, CVPR 2025. AZ-NAS: Lee and Ham, CVPR 2024.

learning_agg is ours, and guides a search unless its space or its user names another: how fast patterns are learnt, and
noise by heart, and how much gates and features tell apart in the mean layer. Its members were chosen by networks of the
space `uninas_tiny` that were trained: docs/proxies.md.
uninas_agg is ours too: two counts of size, two measures of features, how gradients pass, and two measures of how well
inputs are told apart (by gradients and by gates). How its members were chosen: docs/proxies.md.
"""


def parse(text: str) -> RankSum:
    """The aggregate that `text` names: one of AGGREGATES, a proxy, or one written as `logrank(macs, residual(jacov))`.

    Raises:
        ProxyError: the text or a name in it is not understood.
    """
    text = text.strip()
    if not text:
        raise ProxyError("no proxy is named; write one such as vkdnw_agg, or several as logrank(macs, jacov)")
    if text in AGGREGATES:
        return AGGREGATES[text]
    if text.startswith("residual("):
        raise ProxyError(f"{text} orders networks among each other; write logrank({text})")
    found = re.fullmatch(rf"({'|'.join(SCALES)})\((.*)\)", text, re.DOTALL)
    if not found:
        if text not in PROXIES:
            choices = [*PROXIES, *AGGREGATES, *(written(scale, ["..."]) for scale in SCALES)]
            raise ProxyError(f"there is no proxy {text!r}; {nearest(text, choices)}")
        return RankSum(text, (text,))
    scale, names = found[1], _split(found[2])
    if "" in names:
        raise ProxyError(f"{text!r}: write it as {scale}(macs, jacov, residual(vkdnw_single))")
    members = tuple(str(Term.parse(name)) for name in names)
    return RankSum(written(scale, members), members, scale)


def split_names(text: str) -> tuple[str, ...]:
    """Names of proxies and aggregates separated by commas, of which those in brackets separate nothing."""
    return tuple(name for name in _split(text) if name)


def _split(text: str) -> list[str]:
    names, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            names.append("")
        else:
            names[-1] += letter
    return [name.strip() for name in names]


def ranks(table: Sequence[Row], name: str) -> np.ndarray:
    """Rank of each row by one proxy, from 1 (worst) to n; equal values share the mean of their ranks."""
    if table and not any(name in row for row in table):
        raise ProxyError(f"the table has no proxy {name!r}; {nearest(name, {key for row in table for key in row})}")
    return _ranks_of(np.array([_value(row.get(name), sign_of(name)) for row in table], dtype=float))


def _ranks_of(values: np.ndarray) -> np.ndarray:
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[groups]


def _value(value: float | None, sign: int) -> float:
    return -math.inf if value is None or math.isnan(value) else sign * value
