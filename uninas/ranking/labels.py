"""What scores are judged by: what training made of N networks, and what else is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import RankingError

Floats = NDArray[np.float64]
Scores = Sequence[float | None] | ArrayLike
"""One score a network, higher is better; None and non-finite values are failures."""


@dataclass(frozen=True)
class Labels:
    """Labels of N networks.

    Attributes:
        values: N accuracies, losses or the like.
        higher_is_better: their direction.
        percent: whether they are accuracies in percent, of which nDCG is defined.
        sizes: N x S measures of size, such as parameters and MACs; NaN where one is unknown. None for none.
        families: what each network belongs with. None where nothing is known.

    Raises:
        RankingError: fewer than 2 labels, one that is not finite, a percentage outside 0 .. 100, labels that are all
            equal, or sizes or families of other networks.
    """

    values: Floats
    higher_is_better: bool = True
    percent: bool = True
    sizes: Floats | None = None
    families: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        object.__setattr__(self, "values", values)
        if values.ndim != 1 or len(values) < 2:
            raise RankingError(f"a ranking needs a list of at least 2 labels, got shape {values.shape}")
        bad = ~((values >= 0) & (values <= 100)) if self.percent else ~np.isfinite(values)
        if bad.any():
            expected = "an accuracy is a percentage" if self.percent else "a label is a finite number"
            raise RankingError(f"{expected}, got {values[bad][0]} at position {bad.argmax()}")
        if np.ptp(values) == 0:
            raise RankingError(f"the {len(values)} labels are all equal: there is nothing to rank")
        for name, found in (("sizes", self.sizes), ("families", self.families)):
            if found is not None and len(found) != len(values):
                raise RankingError(f"{len(values)} labels but {len(found)} {name}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def upward(self) -> Floats:
        """The values, negated where less is better."""
        return self.values if self.higher_is_better else -self.values

    @cached_property
    def sized(self) -> NDArray[np.bool_]:
        """Which networks have all sizes; none where nothing is known of sizes."""
        if self.sizes is None:
            return np.zeros(len(self), dtype=bool)
        return np.isfinite(self.sizes.sum(axis=1))

    def ranks_of(self, score: Scores) -> NDArray[np.int64]:
        """Dense ranks of scores of these networks, 1 for the lowest; 0 for failures, which rank last, all alike.

        Raises:
            RankingError: another number of scores, or scores that are all equal.
        """
        found = [np.nan if value is None else value for value in np.asarray(score, dtype=object)]
        values = np.array(found, dtype=np.float64)
        if len(values) != len(self):
            raise RankingError(f"{len(self)} labels but {len(values)} scores")
        valid = np.isfinite(values)
        ranks = np.zeros(len(values), dtype=np.int64)
        ranks[valid] = np.unique(values[valid], return_inverse=True)[1] + 1
        if np.ptp(ranks) == 0:
            what = "equal" if valid.any() else "failures"
            raise RankingError(f"the {len(values)} scores are all {what}: there is nothing to rank")
        return ranks
