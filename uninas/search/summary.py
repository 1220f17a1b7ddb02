"""What a search reports when it is done."""

from __future__ import annotations

from pydantic import BaseModel


class Found(BaseModel):
    """A network of a study with its score on seeds that the search never used."""

    key: str
    score: float | None
    """Mean over the fresh seeds; None when scoring failed."""
    score_se: float | None
    """Standard error of `score`."""
    params: int
    macs: int
    """At the `input_size` of the configuration."""
    search_score: float | None
    """Mean over the seeds that the search used: chosen for being high, so too high on average."""
    parent: str | None
    """Key of the candidate it was made from."""
    move: str | None


class Summary(BaseModel):
    """`summary.json`."""

    best: Found
    """The winner among the leaders, or the start when the winner's fresh mean is not above the start's."""
    start: Found
    gain: float
    """Fresh score of the best less that of the start."""
    gain_se: float
    """Standard error of `gain`, from differences repeat by repeat."""
    leaders: list[Found]
    """The candidates that competed at the end, best first, with the scores of that competition."""
    evaluated: int
    """Candidates that were scored, beside the start."""
    duplicates: int
    """Proposals that had been evaluated before, and were not scored again."""
    rejected: int
    """Proposals that were over a limit on cost."""
    failed: int
    """Candidates that the proxy could not score."""
    accepted: int
    """Steps of the walk."""
    noise: float | None
    """Standard deviation of a score between initialisations of one network."""
    spread: float | None
    """Standard deviation of the means between networks."""
    seconds: float
    """Time spent, over all sessions of the study."""
    stopped: str | None = None
    """Why the search ended before its iterations were used up."""
    strategy: str
    proxy: str
    iterations: int
    seed: int
    input_size: int | tuple[int, int]
    start_shrunk: bool = False
    """Whether the start broke a limit on cost, so that `start` is a network made from it."""
    files: list[str]
    """What was written."""


class Progress(BaseModel):
    """What `on_progress` is called with, after every score."""

    phase: str
    """"search" or "fresh" (leaders scored anew)."""
    done: int
    total: int
    """Candidates in the phase "search", scores in the phase "fresh"."""
    current: float | None
    """Mean score of the network the search stands at."""
    start: float | None
    duplicates: int
    rejected: int
    failed: int
