"""Which signals make the best aggregate: every set of a few, by how well its sum over ranks ranks the choosing half.

Nothing is weighted or fitted: the choice of members is all that accuracies decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import proxies
from ..errors import ProxyError
from .errors import RankingError, require
from .labels import Floats
from .metrics import residuals
from .stored import Stored
from .tables import Column

Criterion = Literal["kendall", "given_size"]

FORMS = ("{}", "residual({})")
"""How a signal can be a member of an aggregate. A form that `proxies.parse` does not know is passed over."""


def members_of(signals: Iterable[str]) -> list[str]:
    """Everything that a member made of these signals can be."""
    return [member for form in FORMS for name in signals if _is_member(member := form.format(name))]


@dataclass(frozen=True)
class Chosen:
    """A set of members, and its mean tau over seeds and columns on the networks that it was chosen on."""

    members: tuple[str, ...]
    value: float
    scale: str = "logrank"
    """Of `uninas.proxies.SCALES`."""

    @property
    def name(self) -> str:
        """As `--proxy` takes it; a proxy alone ranks as it does among others."""
        first, *more = self.members
        return proxies.written(self.scale, self.members) if more or first not in proxies.PROXIES else first


class Chooser:
    """Compares sets of members on some networks.

    Args:
        stored: these networks.
        members: that sets can have.
        criterion: what is compared: Kendall's tau, or tau given size. Tau-a, as sums of logarithms and labels have next
            to no ties.
        scale: what a rank adds to a sum, one of `uninas.proxies.SCALES`.

    Raises:
        RankingError: fewer than two networks have a label in a column.
    """

    def __init__(
        self, stored: Stored, members: Sequence[str], criterion: Criterion = "kendall", scale: str = "logrank"
    ) -> None:
        self.members, self.scale = tuple(members), scale
        self.criterion: Criterion = criterion
        self._terms = np.array([[_terms(run, name, scale) for name in self.members] for run in stored.runs])
        sizes = [[row[name] for row in stored.runs[0]] for name in ("params", "macs")]
        self._columns = [_Pairs(column, np.array(sizes, dtype=float), criterion) for column in stored.table.columns]

    def value(self, members: Sequence[str]) -> float:
        """Mean over seeds and columns of the criterion of the members' sum."""
        rows = [self.members.index(name) for name in members]
        sums = self._terms[:, rows].sum(1)
        return float(np.mean([column.tau(run) for run in sums for column in self._columns]))

    def best(self, up_to: int, on_progress: Callable[[int, int], None] = lambda done, total: None) -> list[Chosen]:
        """The best set of each size up to `up_to`; of equal ones, the first in the order of `members`."""
        total = sum(math.comb(len(self.members), size) for size in range(1, up_to + 1))
        found: dict[int, Chosen] = {}
        for done, members in enumerate(self._sets(up_to)):
            on_progress(done, total)
            value = self.value(members)
            if len(members) not in found or value > found[len(members)].value:
                found[len(members)] = Chosen(members, value, self.scale)
        on_progress(total, total)
        return list(found.values())

    def _sets(self, up_to: int) -> Iterator[tuple[str, ...]]:
        for size in range(1, up_to + 1):
            yield from itertools.combinations(self.members, size)


class _Pairs:
    """All pairs of the networks that have a label in a column, and which of each is better."""

    def __init__(self, column: Column, sizes: Floats, criterion: Criterion) -> None:
        known = np.isfinite(column.labels)
        if criterion == "given_size":
            known &= np.isfinite(sizes).all(0)
        self.rows = np.flatnonzero(known)
        if len(self.rows) < 2:
            raise RankingError(f"column {column.name}: {len(self.rows)} networks have a label; expected at least 2")
        self._above, self._below = np.triu_indices(len(self.rows), 1)
        self._sizes = require("scipy.stats").rankdata(sizes[:, self.rows], axis=1).T[None]
        self._residual = criterion == "given_size"
        labels = column.labels[self.rows] * (1 if column.higher_is_better else -1)
        self._order = self._signs(labels)

    def tau(self, scores: Floats) -> float:
        """Tau-a of the scores of all networks, or of what size leaves of their ranks."""
        return float(self._signs(scores[self.rows]) @ self._order) / len(self._order)

    def _signs(self, values: Floats) -> NDArray[np.float32]:
        if self._residual:
            ranks = require("scipy.stats").rankdata(values)[None]
            values = residuals(ranks, self._sizes, np.ones(ranks.shape))[0]
        return np.sign(values[self._above] - values[self._below]).astype(np.float32)


def _terms(run: list[dict[str, float | None]], member: str, scale: str) -> Floats:
    return np.asarray(proxies.parse(proxies.written(scale, [member]))(run))


def _is_member(name: str) -> bool:
    try:
        proxies.parse(f"logrank({name})")
    except ProxyError:
        return False
    return True
