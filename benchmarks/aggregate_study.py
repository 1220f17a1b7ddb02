"""Which signals make the best aggregate of a table: chosen on one half of its networks, judged on the other.

    uninas rank --table TABLE --proxy vkdnw_agg,uninas_agg,naswot,zico,... --out runs/rank --workers 2
    python benchmarks/aggregate_study.py --table TABLE --scores runs/rank --up-to 5

Scores nothing: it reads what `uninas rank` has stored. Every set of up to `--up-to` of the measured signals is summed
by `--scale`, unweighted, and the set with the highest mean tau over all columns of the choosing half is chosen. The
judging half says what that is worth: tau and tau given size with 95 % bootstrap intervals, and leads over what there
was before. The best set of every size is judged too, to show where more members stop to help; choosing among those by
the judging half would spoil it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from rich import box
from rich.console import Console
from rich.table import Table

from uninas.cli import fail, print_json
from uninas.cli.progress import ProgressLog
from uninas.errors import ProxyError, UninasError
from uninas.proxies import AGGREGATES, SCALES, split_names
from uninas.ranking import RankingError
from uninas.ranking.choosing import Chooser, Chosen, Criterion, members_of
from uninas.ranking.judging import Result
from uninas.ranking.stored import Stored, read_stored

WIDTH = 150
"""Characters that a table needs."""
REFERENCES = ("params", "macs", "vkdnw_agg", "uninas_agg")


def judged(stored: Stored, names: list[str], references: list[str]) -> list[Result]:
    """How each name ranks each column."""
    scores = {name: stored.scores(name) for name in dict.fromkeys([*names, *references])}
    return list(stored.judge().results(scores, references))


def shown(results: list[Result], references: list[str]) -> Iterator[Table]:
    """A table for each column, the best first."""
    for column in dict.fromkeys(result.column for result in results):
        mine = sorted((result for result in results if result.column == column), key=kendall, reverse=True)
        table = Table(title=f"{column}, {mine[0].networks} networks", title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("signal", overflow="fold")
        for name in ("tau", "(95 %)", "given size", "(95 %)", *(f"lead over {name}" for name in references)):
            table.add_column(name, justify="right", overflow="fold")
        for result in mine:
            leads = [result.leads.get(name) for name in references]
            cells = (cell for name in ("kendall", "given_size") for cell in with_interval(result, name))
            table.add_row(result.proxy, *cells, *(span(lead and lead.kendall, "+.3f") for lead in leads))
        yield table


def kendall(result: Result) -> float:
    value = result.metrics and result.metrics.kendall
    return -2.0 if value is None else value


def with_interval(result: Result, metric: str) -> tuple[str, str]:
    value = getattr(result.metrics, metric, None)
    return "-" if value is None else f"{value:.3f}", span(getattr(result.intervals, metric, None), ".3f")


def span(interval: tuple[float, float] | None, form: str) -> str:
    return "-" if interval is None else f"{interval[0]:{form}} .. {interval[1]:{form}}"


def available(stored: Stored, names: tuple[str, ...]) -> list[str]:
    """Those that what is stored suffices for."""
    found = []
    for name in names:
        try:
            stored.scores(name)
        except (RankingError, ProxyError) as error:
            Console(stderr=True).print(f"left out: {error}", markup=False, soft_wrap=True)
        else:
            found.append(name)
    return found


def study(arguments: argparse.Namespace) -> None:
    """Chooses, judges, prints."""
    stored = read_stored(arguments.scores, arguments.table, split_names(arguments.task))
    halves = stored.half("choose"), stored.half("judge")
    known = available(stored, tuple(dict.fromkeys([*REFERENCES, *AGGREGATES])))
    references = [name for name in REFERENCES if name in known]
    signals = split_names(arguments.members) or [name for name in stored.signals if name not in ("depth", "complexity")]
    for name in signals:
        stored.scores(name)  # finds what was not measured
    chooser = Chooser(halves[0], members_of(signals), arguments.criterion, arguments.scale)
    with ProgressLog(Console(stderr=True), "comparing sets") as log:
        best = chooser.best(arguments.up_to, log.update)
    chosen = max(best, key=lambda found: found.value)
    names = [*dict.fromkeys([*(found.name for found in best), *known, *signals])]
    results = judged(halves[1], names, references)
    if arguments.json:
        data = {"chosen": chosen.name, "best": [asdict(found) for found in best], "criterion": arguments.criterion}
        counts = {"choosing": len(halves[0].keys), "judging": len(halves[1].keys)}
        print_json({**data, "networks": counts, "judged": [asdict(result) for result in results]})
        return
    report(best, chosen, halves, arguments.criterion)
    for table in shown(results, references):
        Console(width=WIDTH).print(table)


def report(best: list[Chosen], chosen: Chosen, halves: tuple[Stored, Stored], criterion: Criterion) -> None:
    """Prints what was chosen."""
    print(f"chosen on {len(halves[0].keys)} networks by mean {criterion}, judged on {len(halves[1].keys)} others")
    for found in best:
        mark = "chosen" if found is chosen else ""
        print(f"  {found.value:.3f} {mark:6} {found.name}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="the table that was ranked")
    parser.add_argument("--scores", type=Path, required=True, help="--out of `uninas rank`")
    parser.add_argument("--members", default="", help="signals to choose from; default: all measured")
    parser.add_argument("--up-to", type=int, default=4, help="members of a set at most")
    parser.add_argument("--task", default="", help="tasks or single columns of the table; default: all")
    parser.add_argument("--criterion", choices=get_args(Criterion), default="kendall")
    parser.add_argument("--scale", choices=list(SCALES), default="logrank", help="what a rank adds to a sum")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    arguments = parser.parse_args(words)
    try:
        study(arguments)
    except UninasError as error:
        sys.exit(fail(error, error.exit_code))


if __name__ == "__main__":
    main()
