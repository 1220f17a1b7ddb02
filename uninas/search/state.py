"""All that a search carries from one step to the next, as JSON; stored in the same transaction as the step."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Statistics(BaseModel):
    """What happened to proposals that did not become candidates, and how noisy scores are."""

    duplicates: int = 0
    """Proposals that were in the study already, and were not scored again."""
    over_limits: int = 0
    """Valid networks that were passed over because they broke a limit on parameters or MACs."""
    too_slow: int = 0
    """Candidates that were measured to be over a limit on latency (or below one)."""
    too_slow_in_a_row: int = 0
    """Those of them since a network was scored."""
    dead_ends: int = 0
    """Places from which nothing new was found."""
    noise: tuple[float, float] = (0.0, 0.0)
    """Sum of squares and degrees of freedom of scores by repeat around the means of their candidates."""
    paired: tuple[float, float] = (0.0, 0.0)
    """The same of the differences between a candidate's scores and its parent's, repeat by repeat."""

    @property
    def noise_variance(self) -> float:
        """Variance of the first objective between initialisations of one network; 0 while unknown."""
        squares, freedom = self.noise
        return squares / freedom if freedom else 0.0

    @property
    def paired_variance(self) -> float:
        """Variance of the difference between a network and its parent on common initialisations."""
        squares, freedom = self.paired
        return squares / freedom if freedom else 2 * self.noise_variance


class SearchState(BaseModel):
    """Where the search is."""

    asks: int = 1
    """Asks so far, that for the starts among them; the random numbers of an ask follow from its number."""
    starts: int = 0
    """Candidates that are starts: the first ones."""
    first: int = 0
    """Candidates that were there at the beginning: starts, then those of a warm start."""
    statistics: Statistics = Statistics()
    strategy: dict[str, Any] = {}
    """The strategy's own state."""
    evaluations: int = 0
    """Evaluations that were asked for."""
    tidied: int = 0
    """Candidates that are tidier forms of others, kept or not."""
    tidy_forms: dict[int, int] = {}
    """The tidier form that was kept, by the winner that it stands for."""
    stopped: str | None = None
    """Why the search ended early."""

    def evaluated(self, candidates: int) -> int:
        """New networks among so many candidates: without those there at the beginning, over a limit, or tidied."""
        return candidates - self.first - self.statistics.too_slow - self.tidied
