"""`uninas study`: what a search has found, also while it runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Force, JsonOption, print_json
from .common import out as console

if TYPE_CHECKING:
    from ..search.study import Ranked, StudyReader


def study(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a search.")],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many of the best to show.")] = 10,
    front: Annotated[bool, typer.Option("--front", help="Show what nothing beats in all objectives.")] = False,
    lineage: Annotated[
        str | None, typer.Option(metavar="KEY", help="Show how a candidate came to be; first digits of its key.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write all candidates with their mean scores.")
    ] = None,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Shows a study: what was searched, what failed, and the best candidates so far.

    Only reads, and never holds up a search that is writing. Studies of earlier versions can be read too.
    """
    from ..search.study import Study

    if front and lineage is not None:
        raise typer.BadParameter("--front and --lineage exclude each other")
    with Study.open(folder) as found:
        if out is not None:
            _export(found, out, force, as_json)
        elif lineage is not None:
            _lineage(found, lineage, as_json)
        else:
            _show(found, top, front, as_json)


def _show(study: StudyReader, top: int, front: bool, as_json: bool) -> None:
    from ..report.study import ranked_table, summary_lines
    from ..search.study.ranking import objectives_of

    summary = study.summary()
    names = [objective.name for objective in objectives_of(summary.settings)]
    rows = study.front() if front else study.best(top)
    names = names if front else names[:1]
    if as_json:
        what = "front" if front else "best"
        print_json({**asdict(summary), what: [_ranked(row, names) for row in rows]})
        return
    for line in summary_lines(summary):
        typer.echo(line)
    if not rows:
        typer.echo("no candidate has a score yet")
        return
    parents = {row.candidate.parent for row in rows if row.candidate.parent is not None}
    keys = {parent: study.candidate(parent).key for parent in parents}
    title = f"{len(rows)} that nothing beats in all objectives" if front else f"the best {len(rows)}"
    console.print(ranked_table(rows, names, keys, title))


def _ranked(row: Ranked, names: list[str]) -> dict[str, Any]:
    return {**asdict(row.candidate), "scores": dict(zip(names, row.scores))}


def _lineage(study: StudyReader, key: str, as_json: bool) -> None:
    from ..report.study import lineage_table

    candidates = study.lineage(key)
    if as_json:
        print_json({"lineage": [asdict(candidate) for candidate in candidates]})
    else:
        console.print(lineage_table(candidates))


def _export(study: StudyReader, path: Path, force: bool, as_json: bool) -> None:
    from ..search.study.export import write_csv

    count = write_csv(study, path, force)
    if as_json:
        print_json({"out": str(path), "candidates": count})
    else:
        typer.echo(f"wrote {path}: {count} candidates")
