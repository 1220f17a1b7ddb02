"""What a report says of a run in words and numbers: its result at the top, its settings at the end."""

from __future__ import annotations

from typing import Any

from ...units import format_count
from ..collect import Report, Run

HIDDEN = ("space", "versions", "start")
"""Settings that are shown in another way."""


def tiles_of(report: Report, run: Run) -> list[tuple[str, str, str]]:
    """(name, value, remark): what a reader wants to know first."""
    best = report.best(run)
    tiles = []
    if run.finished is not None:
        found = run.finished
        score, error = found.best.score, found.best.score_se
        gain = "against the start unknown: a score on fresh seeds failed"
        if found.gain is not None:
            gain = f"{found.gain:+.4g} ± {found.gain_se:.2g} against the start"
        tiles.append((f"{run.objectives[0].name}, on fresh seeds", _number(score, error), gain))
    elif best is not None:
        row = float(report.scores[best, 0])
        tiles.append(
            (f"{run.objectives[0].name}, best so far", f"{row:.4f}", "as the search measured it: too high on average")
        )
    if best is not None:
        candidate = run.candidates[best - run.first]
        start = report.start(run)
        before = run.candidates[start - run.first] if start is not None else None
        for name, what in (("parameters", "params"), (f"MACs{_at(run)}", "macs")):
            remark = f"start {format_count(getattr(before, what))}" if before is not None else ""
            tiles.append((name, format_count(getattr(candidate, what)), remark))
    hours = run.summary.seconds / 3600
    took = f"{hours:.2f} h" if hours >= 1 else f"{run.summary.seconds:.0f} s"
    rate = f"{run.summary.evaluated / hours:.0f} an hour" if hours else ""
    tiles.append(("networks evaluated", f"{run.summary.evaluated:,}", f"in {took}, {rate}"))
    return tiles


def _at(run: Run) -> str:
    """` at 224 × 224`: the image for which MACs are counted."""
    size = run.summary.settings.get("input_size")
    sides = (size, size) if isinstance(size, int) else tuple(size or ())
    return f" at {sides[0]} × {sides[1]}" if len(sides) == 2 else ""


def _number(value: float | None, error: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.4f} ± {error:.2g}" if error is not None else f"{value:.4f}"


def facts_of(run: Run) -> list[tuple[str, str]]:
    """(name, value) of what decided the result and what it took."""
    settings = run.summary.settings  # those of an earlier version may be of other kinds
    space = settings.get("space")
    facts = [
        ("folder", str(run.study.folder)),
        ("state", _state(run)),
        ("space", str(space.get("name", "")) if isinstance(space, dict) else str(space or "")),
        ("starts", _plain(settings.get("start") or "")),
        ("wall time", f"{run.summary.seconds / 3600:.2f} hours, over all sessions"),
        ("candidates", f"{run.summary.candidates:,}, {run.begun} of them at the beginning"),
        ("measurements", f"{run.summary.measurements:,}"),
        ("distinct graphs", f"{run.summary.graphs:,}"),
    ]
    if run.finished is not None:
        seeds = run.finished.seeds.items()
        facts.append(("seeds", ", ".join(f"{name} {seed}" for name, seed in seeds)))
        if run.finished.noise is not None:
            remark = "standard deviation of a score between initialisations of one network"
            facts.append(("noise", f"{run.finished.noise:.4g} ({remark})"))
        if run.finished.spread is not None:
            facts.append(("spread", f"{run.finished.spread:.4g} (standard deviation between networks)"))
        for removal in run.finished.tidied:
            facts.append(("tidied", f"{removal.where}: {removal.what}, {format_count(removal.params)} parameters"))
        for name in run.finished.repaired:
            facts.append(("repaired", f"{name}: the start broke a limit, so the search began at a network near it"))
    facts += [(f"version of {name}", str(value)) for name, value in (settings.get("versions") or {}).items()]
    for key, value in run.study.machine.items():
        facts.append((f"machine: {key}", str(value)))
    facts += [(key, _plain(value)) for key, value in settings.items() if key not in HIDDEN and value is not None]
    return [(name, value) for name, value in facts if value]


def _state(run: Run) -> str:
    if run.summary.stopped:
        return f"stopped: {run.summary.stopped}"
    if run.finished is not None:
        return "finished"
    return f"not finished; {run.summary.waiting} evaluations under way or waiting"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return str(value)
