"""What a search reports when it is done: `summary.json`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Member(BaseModel):
    """One metric of the objective, measured on fresh seeds of the best network and of the start."""

    metric: str
    best: float | None
    start: float | None
    lead: float | None
    """How much better the best is, repeat by repeat, in the metric's own units; below 0 where it is worse."""
    lead_se: float | None
    """Standard error of `lead`; 0 for what is counted."""


class Found(BaseModel):
    """A network of a study with its score on seeds that the search never used."""

    candidate: int
    """Its number in the study."""
    key: str
    score: float | None
    """Mean over the fresh seeds; None when scoring failed. An aggregate is ranked among all evaluated networks."""
    score_se: float | None
    """Standard error of `score`."""
    params: int
    macs: int
    """At the `input_size` of the settings."""
    latency: dict[str, float] = {}
    """Median seconds by metric, where they were measured."""
    search_score: float | None
    """Mean over the seeds that the search used: chosen for being high, so too high on average."""
    parent: str | None
    """Key of the candidate it was made from."""
    move: str | None


class Tidied(BaseModel):
    """One thing that was taken out of the winner."""

    where: str
    what: str
    params: int
    macs: int


class Summary(BaseModel):
    """`summary.json`."""

    best: Found
    """The winner among the leaders, tidied; or the best start when the winner is not above it on fresh seeds."""
    start: Found
    """The best of the starts."""
    gain: float | None
    """Fresh score of the best less that of the start; None when one of these could not be measured."""
    gain_se: float | None
    """Standard error of `gain`, from differences repeat by repeat."""
    members: list[Member]
    """The metrics of the first objective one by one."""
    leaders: list[Found]
    """The candidates that competed at the end, best first, with the scores of that competition."""
    front: list[Found] = []
    """Several objectives: the networks that nothing beats in all of them, with their scores of the search."""
    hypervolume: float | None = None
    """Of the front, against the worst value of each objective in the study, in shares of the range of each."""
    tidied: list[Tidied] = []
    """What was taken out of the winner."""
    evaluated: int
    """Candidates that were evaluated, excluding those there at the beginning."""
    at_the_beginning: int
    """Starts, and candidates of a warm start."""
    duplicates: int
    """Proposals that had been evaluated before, and were not scored again."""
    over_limits: int
    """Proposals that were over a limit on parameters or MACs."""
    too_slow: int
    """Candidates that were beyond a limit on latency."""
    failed: int
    """Candidates that could not be scored."""
    noise: float | None
    """Standard deviation of a score between initialisations of one network."""
    spread: float | None
    """Standard deviation of the scores between networks."""
    seconds: float
    """Time spent, over all sessions of the study."""
    stopped: str | None = None
    """Why the search ended before its iterations were used up."""
    limits: dict[str, Any]
    """What a network may cost, with the least that follows from the space's size band."""
    settings: dict[str, Any]
    """All that decided the result, versions among it."""
    seeds: dict[str, int]
    """The run's, and those of the first initial weights of each phase."""
    repaired: list[str] = []
    """Starts that broke a limit, so that networks near them were begun at."""
    files: list[str] = []
    """What was written."""
