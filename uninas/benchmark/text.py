"""A ranking on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.markup import escape
from rich.table import Table

from .results import METRIC_NAMES, Ranking, Result


def tables(ranking: Ranking) -> Iterator[Table]:
    """A table for each column of accuracies, the best proxy first."""
    for column in ranking.accuracies:
        found = sorted((r for r in ranking.results if r.column == column), key=_kendall, reverse=True)
        table = Table(title=escape(column), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("proxy")
        for name in METRIC_NAMES.values():
            table.add_column(f"{name} (95 %)", justify="right", no_wrap=True)
        table.add_column("s", justify="right", no_wrap=True)
        for result in found:
            seconds = ranking.seconds.get(result.proxy)
            table.add_row(escape(result.proxy), *_cells(result), "" if seconds is None else f"{seconds:.3g}")
        yield table


def notes(ranking: Ranking) -> Iterator[str]:
    """What was ranked, and what could not be."""
    same = len(ranking.archs) - len(set(ranking.keys))
    seeds = f"{len(ranking.seeds)} seed" + "s" * (len(ranking.seeds) > 1)
    source = ranking.setting["images"] or "noise"
    yield (
        f"{len(ranking.archs)} networks, {same} of them the same as another; {seeds}; "
        f"batches of {ranking.setting['batch']} ({source})"
    )
    for arch, reason in list(ranking.skipped.items())[:3]:
        yield f"skipped {arch}: {reason}"
    if len(ranking.skipped) > 3:
        yield f"skipped {len(ranking.skipped) - 3} more: see metrics.json"
    for proxy, reasons in ranking.failures.items():
        for reason, count in reasons.items():
            yield f"{proxy} failed on {count}, which rank last: {reason}"
    for result in ranking.results:
        if result.failure:
            yield f"{result.proxy}, {result.column}: {result.failure}"


def _kendall(result: Result) -> float:
    return result.metrics.kendall if result.metrics else -2.0


def _cells(result: Result) -> list[str]:
    if result.metrics is None or result.intervals is None:
        return ["-"] * len(METRIC_NAMES)
    cells = []
    for name in METRIC_NAMES:
        low, high = getattr(result.intervals, name)
        cells.append(f"{_short(getattr(result.metrics, name), 3)} ({_short(low, 2)} {_short(high, 2)})")
    return cells


def _short(value: float, digits: int) -> str:
    """.832 for 0.832: three tables of seven numbers a line are to fit on a terminal."""
    return f"{value:.{digits}f}".replace("0.", ".", 1)
