"""A ranking on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.markup import escape
from rich.table import Table

from .bootstrap import Interval
from .judging import SECOND, Result
from .results import METRIC_NAMES, Ranking

WIDTH = 132
"""Characters that a table needs."""


def tables(ranking: Ranking) -> Iterator[Table]:
    """A table for each column, the best proxy first; +- is half of the 95 % interval, * a lead beyond its own."""
    for column in ranking.table.columns:
        found = sorted((r for r in ranking.results if r.column == column.name), key=_kendall, reverse=True)
        better = "" if column.higher_is_better else ", less is better"
        title = f"{column.name}, {ranking.result(ranking.proxies[0], column.name).networks} networks{better}"
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("proxy", overflow="fold", min_width=13)
        for name in (*METRIC_NAMES.values(), *(f"lead over {name}" for name in ranking.references), "s"):
            table.add_column(name, justify="right", overflow="fold")
        for result in found:
            seconds = ranking.seconds.get(result.proxy)
            style = "dim" if result.proxy in ranking.baselines else ""
            leads = (_lead(result, name) for name in ranking.references)
            cells = (*_cells(result), *leads, "" if seconds is None else f"{seconds:.3g}")
            label = f"{SECOND} (of {result.networks})" if result.proxy == SECOND else result.proxy
            table.add_row(escape(label), *cells, style=style)
        yield table


def notes(ranking: Ranking) -> Iterator[str]:
    """What was ranked, and what could not be."""
    same = len(ranking.keys) - len(set(ranking.keys))
    seeds = f"{len(ranking.seeds)} seed" + "s" * (len(ranking.seeds) > 1)
    source = ranking.setting["images"] or "noise"
    half = f" of the half to {ranking.half}" if ranking.half else ""
    yield (
        f"{len(ranking.keys)} networks{half}, {same} of them the same as another; {seeds}; "
        f"batches of {ranking.setting['batch']} ({source})"
    )
    yield "+- is half of the 95 % interval; * a lead in Kendall's tau-b whose 95 % interval leaves out 0"
    for name, reason in list(ranking.skipped.items())[:3]:
        yield f"skipped {name}: {reason}"
    if len(ranking.skipped) > 3:
        yield f"skipped {len(ranking.skipped) - 3} more: see metrics.json"
    for proxy, reasons in ranking.failures.items():
        for reason, count in reasons.items():
            yield f"{proxy} failed on {count}, which rank last: {reason}"
    for result in ranking.results:
        if result.failure:
            yield f"{result.proxy}, {result.column}: {result.failure}"


def _kendall(result: Result) -> float:
    value = result.metrics and result.metrics.kendall
    return -2.0 if value is None else value


def _cells(result: Result) -> Iterator[str]:
    for name in METRIC_NAMES:
        value, interval = getattr(result.metrics, name, None), getattr(result.intervals, name, None)
        if value is None or interval is None:
            yield "-"
            continue
        digits = 2 if name == "top" else 3
        yield f"{_short(value, digits)} +-{_short(_half_width(interval), digits)}"


def _lead(result: Result, reference: str) -> str:
    interval = result.leads[reference].kendall if reference in result.leads else None
    if interval is None:
        return "-"
    mark = "*" if interval[0] > 0 or interval[1] < 0 else " "
    return f"{sum(interval) / 2:+.3f} +-{_short(_half_width(interval), 3)}{mark}"


def _half_width(interval: Interval) -> float:
    return (interval[1] - interval[0]) / 2


def _short(value: float, digits: int) -> str:
    """.832 for 0.832: eight columns are to fit on a terminal."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"
