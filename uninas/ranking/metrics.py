"""How well scores order trained networks: the definitions, on one list of networks. `bootstrap.py` draws such lists.

kendall        Kendall's tau-b, -1 .. 1
spearman       Spearman's correlation, -1 .. 1
ndcg           normalised discounted cumulative gain of the best K by score, with gain 2^accuracy - 1; 0 .. 1
given_size     tau-b of what size does not explain, see `residuals`
within_family  mean over the families of at least 5 networks of tau-b within each
top            mean label of the best 5 % by score, in the label's own unit
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import require
from .labels import Floats, Labels, Scores

GAIN_DEPTH = 1000
"""Ranks that nDCG looks at in the published tables, over 9,445 networks."""
TOP_SHARE = 0.05
FAMILY = 5
"""Networks that a family has at least, to be ranked within."""


@dataclass(frozen=True)
class Metrics:
    """Agreement of scores with labels; None where a metric is not defined. The module says what each is."""

    kendall: float | None
    spearman: float | None
    ndcg: float | None
    given_size: float | None
    within_family: float | None
    top: float | None

    @classmethod
    def of(cls, values: ArrayLike) -> Metrics:
        """From values in the order of the fields, NaN for what is not defined."""
        return cls(*(None if math.isnan(value) else float(value) for value in np.asarray(values, dtype=np.float64)))

    def row(self) -> Floats:
        """The values in the order of the fields, NaN for what is not defined."""
        return np.array([math.nan if value is None else value for value in astuple(self)])


NAMES = tuple(field.name for field in fields(Metrics))


def metrics(labels: Labels, score: Scores, *, k: int = GAIN_DEPTH) -> Metrics:
    """Agreement of `score` with `labels`.

    nDCG = sklearn.metrics.ndcg_score(2^acc - 1, score, k), as in Tybl and Neumann (2025): networks of equal score
    share their gains, so their order in the table has no influence. Its value depends on the number of networks -
    among fewer the best are found at earlier ranks - so it compares only over the same networks.

    Args:
        score: N scores, of which only the order matters. Failures rank last, all alike.
        k: ranks that nDCG looks at.

    Raises:
        RankingError: scores that are all equal, or of another number of networks.
    """
    ranks, upward = labels.ranks_of(score), labels.upward
    spearmanr = require("scipy.stats").spearmanr
    return Metrics.of(
        [
            tau_b(ranks, upward),
            spearmanr(ranks, upward).statistic,
            _ndcg(labels, ranks, k),
            _given_size(labels, ranks),
            within_families([tau_b(ranks[rows], upward[rows]) for rows in families(labels)]),
            top_mean(labels.values, ranks),
        ]
    )


def tau_b(x: NDArray, y: NDArray) -> float:
    """Kendall's tau-b; NaN where it is not defined: fewer than 2 networks, or a list that is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    kendalltau = require("scipy.stats").kendalltau
    # Without the decorator that looks for axes and NaN, which takes twice the time of the tau.
    return float(getattr(kendalltau, "__wrapped__", kendalltau)(x, y, method="asymptotic").statistic)


def residuals(ranks: Floats, sizes: Floats, weights: Floats) -> Floats:
    """What is left of mid-ranks when those of the sizes are regressed out of them.

    `given_size` is Kendall's tau-b between two such residuals, one of the ranks of the scores and one of the ranks of
    the labels, each regressed by least squares on a constant and the ranks of all sizes: the residual form of partial
    rank correlation (Shirahata, "Rank tests of partial correlation", Bulletin of Mathematical Statistics 19, 1981),
    which is near 0 where score and label have nothing in common but size. Kendall's own partial tau (Biometrika 32,
    1942) is not: of normal variables that correlate by .8 with size alone it is .14.

    Args:
        ranks: R x N, lists of mid-ranks.
        sizes: R x N x S, mid-ranks of the sizes.
        weights: R x N, how often each network is in the list.

    Returns:
        R x N, rounded so that equal ones are equal; all 0 where sizes explain everything.
    """
    count = np.maximum(weights.sum(1), 1)[:, None]
    y = ranks / count
    z = np.concatenate([np.ones((*ranks.shape, 1)), sizes / count[..., None]], axis=-1)
    weighted = z * weights[..., None]
    gram = np.einsum("rni,rnj->rij", weighted, z)
    # Sizes can rank alike, as parameters and MACs do in NAS-Bench-201; the pseudo-inverse takes them for one.
    coefficients = np.einsum("rij,rnj,rn->ri", np.linalg.pinv(gram, rcond=1e-9, hermitian=True), weighted, y)
    return np.round(y - np.einsum("rni,ri->rn", z, coefficients), 6)


def gains(accuracies: Floats) -> Floats:
    """2^acc - 1, times 2^-100: nDCG is a ratio of gains, and scikit-learn warns of numbers beyond an int64."""
    return np.ldexp(np.exp2(accuracies) - 1, -100)


def families(labels: Labels) -> list[NDArray[np.int64]]:
    """The positions of the networks of each family that is large enough."""
    if labels.families is None:
        return []
    names = np.array(labels.families)
    found = [np.flatnonzero(names == name) for name in dict.fromkeys(labels.families)]
    return [rows for rows in found if len(rows) >= FAMILY]


def within_families(taus: Any) -> float:
    """The mean of those that are defined."""
    found = [tau for tau in taus if not math.isnan(tau)]
    return sum(found) / len(found) if found else math.nan


def top_count(size: int) -> int:
    """Networks among the best 5 % of `size`."""
    return math.ceil(TOP_SHARE * size - 1e-9)


def top_mean(values: Floats, ranks: NDArray[np.int64]) -> float:
    """Mean value of the best 5 % by rank; networks of equal rank share the places that are left for them."""
    left, total = float(top_count(len(values))), 0.0
    places = left
    for rank in np.unique(ranks)[::-1]:
        group = values[ranks == rank]
        taken = min(left, len(group))
        total, left = total + taken * group.mean(), left - taken
        if not left:
            break
    return total / places


def _ndcg(labels: Labels, ranks: NDArray[np.int64], k: int) -> float:
    if not labels.percent or not labels.higher_is_better:
        return math.nan
    return float(require("sklearn.metrics").ndcg_score(gains(labels.values)[None], ranks[None], k=k))


def _given_size(labels: Labels, ranks: NDArray[np.int64]) -> float:
    if labels.sized.sum() < 3 or labels.sizes is None:
        return math.nan
    rankdata = require("scipy.stats").rankdata
    sizes = rankdata(labels.sizes[labels.sized], axis=0)[None]
    both = [rankdata(values[labels.sized])[None] for values in (ranks, labels.upward)]
    weights = np.ones(both[0].shape)
    ours, theirs = (residuals(found, sizes, weights)[0] for found in both)
    return tau_b(ours, theirs)
