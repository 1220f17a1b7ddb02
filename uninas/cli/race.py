"""`uninas race`: the best of a search, trained briefly on the user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..engine.race.config import RaceConfig
from ..units import format_count
from .common import DataRoot, JsonOption, ProtocolOption, err, print_json, usage
from .overrides import SetOption
from .progress import ProgressLog
from .settings import as_options, with_options

Studies = Annotated[list[Path], typer.Argument(metavar="STUDY", help="Folders of searches.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where best.yaml goes; default: the study.")]


@with_options(RaceConfig, skip=("studies", "protocol", "data_root", "changes"))
def race(
    settings: dict[str, Any],
    studies: Studies,
    protocol: ProtocolOption,
    data_root: DataRoot,
    set: SetOption = None,
    out: Out = None,
    as_json: JsonOption = False,
) -> None:
    """Races the best networks of searches: all are trained briefly, the best of them longer, and so on.

    Trains by an ordinary protocol on your own data. Every result is in the study when its training ends: kill it at any
    moment, the same command goes on. Writes best.yaml, the winner, and race.json.
    """
    from ..engine import protocol as protocols

    where = {"studies": studies, "protocol": protocol, "data_root": data_root}
    given = usage(lambda: {**settings, **where, "changes": protocols.parse_changes(set or [])})
    config = usage(lambda: as_options(RaceConfig, given))

    from ..engine.race.run import Progress
    from ..engine.race.run import race as run_race

    with ProgressLog(err, "training") as log:

        def report(state: Progress) -> None:
            log.update(state.done, state.total, f"training {state.runners} networks for {state.epochs} epochs")

        result = run_race(config, out, report)
    if as_json:
        print_json(result.to_dict())
        return
    for epochs, standings in result.rounds.items():
        typer.echo(f"{epochs} epochs, {result.metric.partition('@')[0]} (trainings)")
        for standing in standings:
            reached = f"{'failed':>9}" if standing.mean is None else f"{standing.mean:9.2f}"
            size = f"{format_count(standing.params)} parameters, {format_count(standing.macs)} MACs"
            start = ", a start" if standing.is_start else ""
            typer.echo(f"{reached} ({len(standing.results)})  {standing.key[:12]}  {size}{start}")
    typer.echo("wrote")
    for file in result.files:
        typer.echo(f"  {file}")
