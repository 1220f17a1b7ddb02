"""`uninas rank`: how well training-free scores rank networks that have been trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UninasError
from ..units import parse_size
from . import completion
from .common import Batch, Device, Force, JsonOption, Seed, Threads, Workers, err, meaning, option, print_json, usage
from .common import out as console

if TYPE_CHECKING:
    from ..ranking.rank import Rank


def _square(text: str) -> int:
    """One side: the networks of tables take square images."""
    height, width = parse_size(text)
    if height != width:
        raise UninasError(f"{text!r} is not square, and networks of tables take square images; write one side")
    return height


def rank(
    table: Annotated[str, typer.Option(metavar="TABLE", help="A file or folder, or a folder of tables/.")],
    proxy: Annotated[
        str,
        typer.Option(
            metavar="PROXY",
            help=meaning("proxy", "Proxies and aggregates: vkdnw_agg,'logodds(macs, jacov)'."),
            autocompletion=completion.proxies,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the scores and results.")],
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.py", help="Kind of the table, or your file that defines it. Default: by its look."
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(metavar="NAMES", help="Tasks or single columns of the table; default: all.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=2, metavar="N", help="Networks to draw; default: all.")] = None,
    half: Annotated[
        str | None, typer.Option(metavar="choose|judge", help="Rank only the drawn that are in this fixed half.")
    ] = None,
    reference: Annotated[
        str, typer.Option(metavar="NAMES", help="What leads are over: proxies, aggregates, params, macs, depth.")
    ] = "macs",
    workers: Workers = 1,
    threads: Threads = 1,
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Seeds to average over.")] = 1,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of images to score on; default: noise.")
    ] = None,
    batch: Batch = 64,
    input_size: Annotated[
        Any,
        typer.Option(parser=option(_square), metavar="SIZE", help=meaning("input_size", "Default: the table's.")),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, metavar="N", help=meaning("classes", "Default: the table's."))
    ] = None,
    device: Device = "cpu",
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Ranks trained networks with training-free proxies, and compares with what their training achieved.

    Prints for each column of the table, beside parameters, MACs, depth and a second training where there is one:
    Kendall's tau-b, Spearman's correlation, nDCG, tau given size, tau within a family, the mean label of the best 5 %,
    each with a 95 % bootstrap interval, and the lead in tau over --reference. Writes scores.csv, metrics.json,
    scores.png and metrics.png in --out, and keeps every score in scores.sqlite: run the same command again to go on
    after an interruption, with more proxies, seeds or networks. Results of another setting are replaced by --force.
    """
    from rich.console import Console

    from ..ranking.text import WIDTH, notes, tables
    from .progress import ProgressLog

    def prepare() -> Rank:
        from ..proxies import split_names
        from ..ranking.halves import checked_half
        from ..ranking.rank import Rank, RankConfig
        from ..ranking.scoring import Setting
        from ..ranking.tables import locate

        kind, path = locate(table, benchmark)
        folder = str(images) if images else None
        setting = Setting.of(kind, input_size, classes, batch=batch, images=folder, device=device, threads=threads)
        return Rank(
            RankConfig(
                table=path,
                proxies=split_names(proxy),
                out=out,
                tasks=split_names(task) or None,
                limit=limit,
                half=checked_half(half) if half is not None else None,
                references=split_names(reference),
                seed=seed,
                seeds=seeds,
                workers=workers,
                setting=setting,
                force=force,
            )
        )

    run = usage(prepare)
    try:
        with ProgressLog(err, "scoring") as log:
            run.score(log.update)
        with ProgressLog(err, "judging") as log:
            ranking, files = run.finish(log.update)
    except KeyboardInterrupt:
        err.print("interrupted; run the same command again to go on")
        raise typer.Exit(1) from None
    if as_json:
        print_json({**ranking.to_json(), "files": [str(file) for file in files]})
        return
    wide = console if console.is_terminal else Console(width=max(console.width, WIDTH))
    for found in tables(ranking):
        wide.print(found)
    for line in notes(ranking):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print("wrote " + ", ".join(str(file) for file in files), markup=False, highlight=False, soft_wrap=True)
