"""What tests of whole searches share: settings by strategy, and what of two studies has to be equal."""

from __future__ import annotations

from dataclasses import replace

from uninas.search import Study, Summary
from uninas.search.measurement import State

from .fakes import HashScorer

WALL_CLOCK = {"seconds", "files", "settings"}
STRATEGIES = ["walk", "evolution", "random", "pareto"]


def options(strategy: str) -> dict:
    """Settings under which each strategy does all that it can within a few evaluations."""
    if strategy == "pareto":
        several = {"objectives": "naswot,-params", "strategy_settings": {"population": 4}}
        return {"strategy": strategy, **several}
    settings = {
        "evolution": {"population": 4, "tournament": 2},
        "walk": {"strides": [1, 2], "scouts": 2},
        "random": {},
    }[strategy]
    return {"strategy": strategy, "strategy_settings": settings}


def contents(folder) -> dict:
    """All that a study holds, but times."""
    study = Study.open(folder)
    candidates = [{key: value for key, value in vars(row).items() if key != "seconds"} for row in study.candidates()]
    scores = [
        (s.candidate, s.metric, s.phase, s.repeat, s.value, s.state, s.seed)
        for phase in ("search", "leaders", "fresh")
        for s in study.scores(phase)
    ]
    state = study.meta("state")
    study.close()
    return {"candidates": candidates, "scores": sorted(scores, key=str), "state": state}


def essence(summary: Summary) -> dict:
    return summary.model_dump(exclude=WALL_CLOCK)


def fail(monkeypatch, where) -> None:
    """Measurements at which `where(genotype, phase, repeat)` holds fail from now on."""
    measure = HashScorer.measure

    def fails_there(self, genotype, phase, repeat, metrics):
        found = measure(self, genotype, phase, repeat, metrics)
        if not where(genotype, phase, repeat):
            return found
        return [replace(m, value=None, state=State.FAILED, reason="not finite: made up") for m in found]

    monkeypatch.setattr(HashScorer, "measure", fails_there)
