"""A study in words: what it is, its best candidates, and where one comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ..units import format_count

if TYPE_CHECKING:
    from ..search.study import Candidate, Ranked, StudySummary

SETTINGS = ("strategy", "proxy", "objectives", "seed", "proxy_size", "proxy_batch", "proxy_classes", "device")
"""Those that a reader wants to know first; limits and the space come before them."""
LIMITS = ("max_params", "min_params", "max_macs", "min_macs", "max_latency", "min_latency")
DIGITS = 12
"""Of a key."""


def summary_lines(summary: StudySummary) -> list[str]:
    """What the study is, a line a fact."""
    lines = [f"study      {summary.folder}", f"settings   {_settings(summary.settings)}"]
    took = f"{summary.seconds / 3600:.2f} hours" if summary.seconds >= 3600 else f"{summary.seconds:.0f} seconds"
    rate = f", {3600 * summary.evaluated / summary.seconds:.0f} an hour" if summary.seconds else ""
    lines.append(f"evaluated  {summary.evaluated} networks in {took}{rate}")
    counts = {
        "at the beginning": summary.at_the_beginning,
        "under way": summary.waiting,
        "refused": summary.refused,
        "duplicates": summary.duplicates,
        "over the limits": summary.over_limits,
    }
    lines.append(f"besides    {', '.join(f'{count} {what}' for what, count in counts.items() if count) or 'nothing'}")
    if summary.failed:
        reasons = ", ".join(f"{count} {reason}" for reason, count in summary.failed.items())
        lines.append(f"failed     {reasons}")
    if summary.stopped:
        lines.append(f"stopped    {summary.stopped}")
    return lines


def _settings(settings: dict[str, Any]) -> str:
    """`space uninas, max_params 30.00M, strategy evolution, ...`."""
    space = settings.get("space")
    name = space.get("name") if isinstance(space, dict) else space
    found = [f"space {name}"] if name else []
    for key in LIMITS:
        if settings.get(key):
            value = settings[key]
            found.append(f"{key} {f'{1000 * value[0]:g}ms' if isinstance(value, list) else format_count(value)}")
    found += [f"{key} {settings[key]}" for key in SETTINGS if settings.get(key) is not None]
    return ", ".join(found) or "none"


def ranked_table(rows: Sequence[Ranked], objectives: Sequence[str], keys: dict[int, str], title: str) -> Table:
    """Candidates with their values of the objectives, costs and origin.

    Args:
        objectives: names of the values.
        keys: of the parents, by number.
    """
    table = Table(title=title, title_justify="left", expand=True)
    for name in ("", "key", *objectives, "params", "MACs"):
        table.add_column(name, justify="left" if name == "key" else "right", no_wrap=True)
    table.add_column("parent", no_wrap=True)
    table.add_column("move", no_wrap=True, overflow="ellipsis", ratio=1)  # gets what the others leave
    for place, row in enumerate(rows, 1):
        found = row.candidate
        parent = "" if found.parent is None else keys[found.parent][:DIGITS]
        scores = (f"{score:.6g}" for score in row.scores)
        table.add_row(str(place), found.key[:DIGITS], *scores, *_costs(found), parent, _came(found))
    return table


def lineage_table(candidates: Iterable[Candidate]) -> Table:
    """From a start to a candidate."""
    table = Table(title="lineage, from the start", title_justify="left")
    for name in ("candidate", "key", "params", "MACs"):
        table.add_column(name, justify="left" if name == "key" else "right", no_wrap=True)
    table.add_column("move")
    for found in candidates:
        table.add_row(str(found.id), found.key[:DIGITS], *_costs(found), _came(found))
    return table


def _costs(candidate: Candidate) -> tuple[str, str]:
    return format_count(candidate.params), format_count(candidate.macs)


def _came(candidate: Candidate) -> str:
    """How a candidate came to be: its move, or where it was taken from."""
    if candidate.move or candidate.origin:
        return ", ".join(text for text in (candidate.move, candidate.origin) if text)
    return "start" if candidate.parent is None else ""
