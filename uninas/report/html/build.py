"""The report as one HTML file that asks nothing of any host: data and drawings are in it, compressed."""

from __future__ import annotations

import base64
import gzip
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...genotype import Genotype
from ..collect import Report, Run, collect
from ..difference import Difference, difference, grouped
from ..drawing.layout import DrawingError
from ..statistics import correlations, moves_of
from .facts import facts_of, tiles_of
from .networks import Networks

ASSETS = files("uninas.report.html").joinpath("assets")
SCRIPTS = ("data.js", "plot.js", "network.js", "table.js", "page.js")
COMMAND_KEYS = 12
"""Digits of a key that the page shows."""


def build_page(
    folders: Sequence[str | Path],
    trained: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[str, dict[str, Any]]:
    """The text of the file, and what is in it in numbers.

    Args:
        folders: of studies; of several runs, the first says what networks are ranked by.
        trained: a CSV file of results of trained networks, see `collect`.
        progress: called with the networks drawn so far and all.

    Raises:
        StudyError: a folder holds no study, or a file cannot be read.
        DrawingError: what drawings need is not installed.
    """
    report = collect(folders, trained)
    try:
        drawings = _drawings(report, progress)
        view = _view(report)
        data = _data(report)
    finally:
        report.close()
    page = _template().render(
        **view,
        css=_asset("report.css"),
        script=_asset(*SCRIPTS),
        data=_pack(data),
        drawings=_pack(drawings),
    )
    numbers = {
        "runs": [str(run.study.folder) for run in report.runs],
        "candidates": report.table.count,
        "panels": len(drawings["panels"]),
    }
    return page, numbers


@cache
def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader
    except ModuleNotFoundError:
        raise DrawingError(
            'a report needs jinja2, which is not installed: pip install "uninas-toolkit[report]"'
        ) from None
    environment = Environment(
        loader=PackageLoader("uninas.report.html", "assets"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


def _asset(*names: str) -> Any:
    """Files of our own, which are not to be escaped."""
    from markupsafe import Markup

    return Markup("\n".join(ASSETS.joinpath(name).read_text(encoding="utf-8") for name in names))


def _pack(data: Any) -> str:
    """JSON, compressed, as text that may stand in HTML."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _drawings(report: Report, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Every network with what it differs in from its parent, or a winner from its start too."""
    run = report.runs[0]
    size = run.summary.settings.get("input_size") or 224
    height, width = (size, size) if isinstance(size, int) else size
    networks = Networks((height, width), run.summary.settings.get("num_classes") or 1000)
    found: list[list[int]] = []
    changes: list[Any] = []
    total = report.table.count
    for run, candidate in report.rows:
        genotype = run.study.genotype(candidate.id)
        found.append(networks.add(genotype))
        changes.append(None if candidate.parent is None else _changes(run, candidate.parent, genotype))
        progress(len(found), total)
    since_start = {}
    for run in report.runs:
        best, start = report.best(run), report.start(run)
        if best is not None and start is not None:
            since_start[best] = [start, _changes(run, start - run.first, run.study.genotype(best - run.first))]
    return {**networks.as_json(), "networks": found, "changes": changes, "sinceStart": since_start}


def _changes(run: Run, before: int, genotype: Genotype) -> list[Any]:
    """[[[sign, place, how often, what], ...], {place of a sub-block: [node, ...]}]."""
    found: Difference = difference(run.study.genotype(before), genotype)
    said = [[change.kind, change.where, places, change.what] for change, places in grouped(found.changes)]
    return [said, {".".join(map(str, place)): sorted(nodes) for place, nodes in found.after.items()}]


def _data(report: Report) -> dict[str, Any]:
    """Columns of all candidates, for plots and the table."""
    rows = report.rows
    moves = sorted({candidate.move or "" for _, candidate in rows})
    number = {move: i for i, move in enumerate(moves)}
    numbers = {run.label: i for i, run in enumerate(report.runs)}
    return {
        "objectives": [o.name for o in report.objectives] if report.common else ["each run's own"],
        "minimised": [name for name in report.metrics if name.startswith("latency")],
        "scores": [_column(report.scores[:, i]) for i in range(report.scores.shape[1])],
        "error": _column(report.errors),
        "metrics": {name: _column(values) for name, values in report.metrics.items()},
        "fresh": _fresh(report),
        "run": [numbers[run.label] for run, _ in rows],
        "number": [candidate.id for _, candidate in rows],
        "key": [candidate.key[:COMMAND_KEYS] for _, candidate in rows],
        "parent": [-1 if c.parent is None else run.first + c.parent for run, c in rows],
        "move": [number[candidate.move or ""] for _, candidate in rows],
        "moves": moves,
        "origin": {i: candidate.origin for i, (_, candidate) in enumerate(rows) if candidate.origin},
        "params": [candidate.params for _, candidate in rows],
        "macs": [candidate.macs for _, candidate in rows],
        "failed": report.failed,
        "runs": [_run(report, run) for run in report.runs],
    }


def _fresh(report: Report) -> dict[int, list[float | None]]:
    """(score, standard error) on seeds that no decision has seen: of winners and starts."""
    found = {}
    for run in report.runs:
        if run.finished is not None:
            for network in (run.finished.best, run.finished.start):
                if network.score is not None:
                    found[run.first + network.candidate] = [network.score, network.score_se]
    return found


def _run(report: Report, run: Run) -> dict[str, Any]:
    limits = run.finished.limits if run.finished is not None else run.summary.settings
    latency = {}
    for name in ("max_latency", "min_latency"):
        bound = limits.get(name)
        if isinstance(bound, (list, tuple)):
            latency[name] = bound[0]
    return {
        "label": run.label,
        "folder": str(run.study.folder),
        "first": run.first,
        "begun": run.begun,
        "best": report.best(run),
        "start": report.start(run),
        "trail": run.trail,
        "finished": run.finished is not None,
        "limits": {name: limits.get(name) for name in ("max_params", "min_params", "max_macs", "min_macs")} | latency,
    }


def _column(values: np.ndarray) -> list[float | None]:
    """Numbers to seven digits, None where there is none."""
    return [None if not math.isfinite(value) else float(f"{value:.7g}") for value in values]


def _view(report: Report) -> dict[str, Any]:
    """What the template writes out."""
    names, matrix = correlations(report)
    return {
        "title": ", ".join(run.label for run in report.runs),
        "objective": report.objectives[0],
        "runs": [
            {
                "run": run,
                "tiles": tiles_of(report, run),
                "facts": facts_of(run),
                "moves": moves_of(report, run),
                "failures": _reasons(report, run),
            }
            for run in report.runs
        ],
        "common": report.common,
        "several": len(report.runs) > 1,
        "correlated": names,
        "correlations": matrix,
        "noise": bool(np.isfinite(report.errors).any()),
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "machine": f"{platform.system()} {platform.machine()}",
        "version": __version__,
    }


def _reasons(report: Report, run: Run) -> list[tuple[str, int]]:
    """Why candidates have no score and why proposals did not become candidates, with how many each."""
    counts: dict[str, int] = {}
    for row, reason in report.failed.items():
        if run.first <= row < run.first + len(run.candidates):
            kind = reason if not reason.startswith("refused") else "refused: beyond a limit on latency"
            counts[kind] = counts.get(kind, 0) + 1
    found = sorted(counts.items(), key=lambda item: -item[1])
    statistics = (run.state.get("statistics") or {}).items()
    words = {
        "duplicates": "duplicate of a network that was evaluated already",
        "over_limits": "over a limit on parameters or MACs",
        "dead_ends": "nothing new found around a network",
    }
    return found + [(words[name], count) for name, count in statistics if name in words and count]
