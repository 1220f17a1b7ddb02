"""Ranks the networks of a benchmark with proxies, and compares with their trained accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from uninas.benchmark.rank import Rank, RankConfig
from uninas.benchmark.scoring import Setting
from uninas.benchmark.text import notes, tables
from uninas.cli import err, out, print_json, run, usage
from uninas.proxies import split_names

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def rank(
    table: Annotated[Path, typer.Option(help="CSV with columns `arch` and accuracies, or NATS-Bench's files.")],
    proxies: Annotated[str, typer.Option(help="Proxies and aggregates, such as vkdnw_agg,'logrank(macs, jacov)'.")],
    out_folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the scores and results.")],
    space: Annotated[str, typer.Option(help="The benchmark.")] = "nasbench201",
    columns: Annotated[str, typer.Option(help="Columns of accuracies; default: all.")] = "",
    limit: Annotated[int | None, typer.Option(min=2, help="Architectures to draw; default: all.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of a process.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same scores.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds to average over.")] = 1,
    images: Annotated[Path | None, typer.Option(help="Folder of images to score on; default: noise.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Inputs.")] = 64,
    size: Annotated[int, typer.Option(min=1, help="Side of the inputs in pixels.")] = 32,
    classes: Annotated[int, typer.Option(min=2, help="Classes of the scored networks.")] = 10,
    device: Annotated[str, typer.Option(help="Where to score, as torch calls it: cpu, cuda, cuda:1.")] = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Replace results of another setting in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Ranks the networks of a benchmark with training-free proxies, and compares with their trained accuracies.

    Prints Kendall's tau-b, Spearman's correlation and nDCG with 95 % bootstrap intervals. Writes scores.csv,
    metrics.json, scores.png and metrics.png in --out, and keeps every score in scores.sqlite: run the same command
    again to go on after an interruption, with more proxies, seeds or architectures.
    """

    def prepare() -> Rank:
        setting = Setting(space, batch, size, classes, str(images) if images else None, device, threads)
        chosen = split_names(columns) or None
        return Rank(
            RankConfig(table, split_names(proxies), out_folder, chosen, limit, seed, seeds, workers, setting, force)
        )

    ranking_run = usage(prepare)
    bar_columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("scoring"), *bar_columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        try:
            ranking_run.score(lambda done, total: bar.update(task, completed=done, total=total))
        except KeyboardInterrupt:
            err.print("interrupted; run the same command again to go on")
            raise typer.Exit(1) from None
    ranking, files = ranking_run.finish()
    if as_json:
        print_json({**ranking.to_json(), "files": [str(file) for file in files]})
        return
    for found in tables(ranking):
        out.print(found)
    for line in notes(ranking):
        out.print(line, markup=False, highlight=False)
    out.print("wrote " + ", ".join(str(file) for file in files), markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run(app)
