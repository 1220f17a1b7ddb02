"""Profiles and comparisons for people, as tables, and for programs, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..units import format_bytes, format_count, format_shape
from .compare import Compared, Value
from .measure import Profile, Sum, total
from .parts import KINDS

TITLES = {
    "params": "parameters",
    "macs": "MACs, one image",
    "latency": "latency, median",
    "latency_p90": "latency, p90",
    "peak_memory": "peak memory",
}


def facts(profile: Profile) -> list[tuple[str, str]]:
    """(what, how much) of the whole network."""
    memory, latency = profile.memory, profile.latency
    threads = f", {profile.threads} thread{'s' if profile.threads > 1 else ''}" if profile.device == "cpu" else ""
    found = [
        ("input", f"{format_shape(profile.batch, profile.size)} on {profile.device}{threads}"),
        ("parameters", format_count(profile.params)),
        ("MACs", f"{format_count(profile.macs)} an image"),
        ("latency", f"{milliseconds(latency.median)} median, {milliseconds(latency.p90)} p90, {latency.runs} passes"),
        ("throughput", f"{profile.images_per_second:.4g} images/s"),
        (
            "peak memory",
            f"{format_bytes(memory.peak)}: weights {format_bytes(memory.weights)}, images "
            f"{format_bytes(memory.images)}, activations {format_bytes(memory.activations)}",
        ),
    ]
    if (compiled := profile.compiled) is not None:
        told = f"{milliseconds(compiled.median)} median, {milliseconds(compiled.p90)} p90, {compiled.runs} passes"
        found += [
            ("compiled", f"{told}: {compiled.median / latency.median:.2f} of eager"),
            ("", f"compiled in {compiled.compile_seconds:.1f} s; outputs differ by {compiled.difference:.1e}"),
            ("operations", "left out: a compiled network has no calls of single operations"),
        ]
    if profile.cells is not None:
        told = "each with a clock, in passes of their own and not scaled to the latency"
        found.append(("operations", told))
    return found


def profile_tables(profile: Profile) -> list[Table]:
    """By stage, and by kind of operation, the dearest first; empty where no operation was timed."""
    if profile.cells is None:
        return []
    whole = total(list(profile.cells.values()))
    kinds = sorted(profile.kinds.items(), key=lambda item: -(item[1].seconds or 0.0))
    rows = {"stage": profile.stages, "kind": {KINDS[kind]: each for kind, each in kinds}}
    return [_table(heading, sums, whole) for heading, sums in rows.items()]


def _table(heading: str, sums: Mapping[str, Sum], whole: Sum) -> Table:
    table = Table()
    table.add_column(heading, no_wrap=True)
    for name in ("operations", "params", "MACs", "time", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, each in sums.items():
        table.add_row(name, *_cells(each, whole))
    table.add_section()
    table.add_row("sum", *_cells(whole, whole))
    return table


def _cells(each: Sum, whole: Sum) -> tuple[str, ...]:
    share = f"{100 * each.seconds / whole.seconds:.1f} %" if each.seconds is not None and whole.seconds else "-"
    time = milliseconds(each.seconds) if each.seconds is not None else "-"
    return str(each.calls), format_count(each.params), format_count(each.macs), time, share


def milliseconds(seconds: float) -> str:
    """0.01234 -> `12.3 ms`."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{1000 * seconds:.0f} ms"


def profile_csv(profile: Profile) -> str:
    """A row for the whole (`all`), then one a stage and kind; times in seconds, memory in bytes."""
    data = profile.to_dict()
    head = ("stage", "kind", "calls", "params", "macs", "seconds", "share", "p90_seconds", "peak_memory")
    calls = sum(cell["calls"] for cell in data["cells"] or ())
    whole = [calls or "", data["params"], data["macs"], data["latency"]["median"], ""]
    rows = [["all", "all", *whole, data["latency"]["p90"], data["memory"]["peak"]]]
    if profile.compiled is not None:
        rows.append(["all", "compiled", "", "", "", profile.compiled.median, "", profile.compiled.p90, ""])
    rows += [[cell[name] for name in head[:7]] + ["", ""] for cell in data["cells"] or ()]
    return _csv([list(head), *rows])


def comparison_table(networks: Sequence[Compared]) -> Table:
    """A row a quantity, a column a network; behind each number what it differs from the first network's by."""
    first, *_ = networks
    table = Table()
    table.add_column("", no_wrap=True)
    for each in networks:
        table.add_column(escape(each.name), justify="right")
    for name, title in TITLES.items():
        values = [each.costs[name] for each in networks]
        table.add_row(title, *(f"{_cost(name, value)}{_difference(value)}" for value in values))
    if first.scores:
        table.add_section()
    for name in first.scores:
        values = [each.scores[name] for each in networks]
        table.add_row(name, *(f"{_score(value)}{_difference(value)}" for value in values))
    return table


def _cost(name: str, value: Value) -> str:
    if value.value is None:
        return "failed"
    if name.startswith("latency"):
        return milliseconds(value.value)
    return format_bytes(value.value) if name == "peak_memory" else format_count(value.value)


def _score(value: Value) -> str:
    if value.value is None:
        return "no score"
    return f"{value.value:.5g}" + (f" +- {value.standard_error:.2g}" if value.standard_error is not None else "")


def _difference(value: Value) -> str:
    if value.relative is None:
        return ""
    error = f" +- {100 * value.relative_error:.1f}" if value.relative_error is not None else ""
    return f" ({100 * value.relative:+.1f}{error} %)"


def comparison_csv(networks: Sequence[Compared]) -> str:
    """A row a network; for each quantity its value, what it differs from the first by (0.1: 10 % more), and errors."""
    first, *_ = networks
    names = [*first.costs, *(f"score {name}" for name in first.scores)]
    parts = ("", " standard_error", " relative", " relative_error")
    rows: list[list[Any]] = [["network", "key", *(f"{name}{part}" for name in names for part in parts), "failures"]]
    for each in networks:
        values = (*each.costs.values(), *each.scores.values())
        cells = [cell for value in values for cell in value[: len(parts)]]
        rows.append([each.name, each.key, *cells, "; ".join(f"{n}: {told}" for n, told in each.failures.items())])
    return _csv(rows)


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    """None is an empty cell."""
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()
