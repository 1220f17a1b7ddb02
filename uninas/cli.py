"""The `uninas` command: one typer application; every sub-command is a thin layer over a function of the package.

Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage or input that is not valid.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import __version__, blocks
from .blocks.networks import named_or_file
from .device import usable
from .engine import commands as training
from .engine.options import spread
from .errors import GenotypeError, UninasError
from .genotype import Genotype, cost
from .proxies import split_names
from .report.progress import SearchBar, summary_lines
from .search.config import SearchConfig
from .units import format_count, parse_count, parse_size

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
out = Console()
err = Console(stderr=True)


def _option(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A parsing function for typer: what it refuses becomes wrong usage of the option."""

    def parser(value: Any) -> Any:
        try:
            return parse(value) if isinstance(value, str) else value  # a default may be parsed already
        except UninasError as error:
            raise typer.BadParameter(str(error)) from None

    return parser


def _default(name: str) -> Any:
    """The default of a search setting."""
    return SearchConfig.model_fields[name].default


TRAINING_PACKAGES = ("mmengine", "mmcv", "mmdet", "mmseg", "sklearn")
"""What the extra `mm` brings. (`uninas.benchmark` says itself what it misses.)"""

_DEFAULT_SIZE = str(_default("proxy_size"))

GenotypeArgument = Annotated[str, typer.Argument(metavar="GENOTYPE", help="A file, or the name of a known network.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
InputSize = Annotated[
    Any, typer.Option(parser=_option(parse_size), metavar="SIZE", help="Image side, or HEIGHTxWIDTH, in pixels.")
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="What scores: cpu, cuda, cuda:1.")]


def read_genotype(text: str) -> Genotype:
    """A genotype from a file, or a known network by name."""
    if text not in blocks.NETWORKS and not Path(text).exists():
        known = ", ".join(blocks.NETWORKS)
        raise GenotypeError(f"there is no such file, and no network of that name; known networks: {known}", text)
    return named_or_file(text)


def print_json(data: Any) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(data, indent=1))


@app.command()
def show(
    genotype: GenotypeArgument,
    input_size: InputSize = "224",
    num_classes: Annotated[int, typer.Option(min=0, help="Classes of the head.")] = 1000,
    code: Annotated[bool, typer.Option("--code", help="Print the compiled code of each distinct graph.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Shows a network block by block: its graphs, output sizes, parameters and MACs."""
    from .report.text import describe, graph_codes, in_words, letters

    found = read_genotype(genotype)
    rows = describe(found, input_size, num_classes)
    if as_json:
        print_json({"key": found.key, "name": found.name, "rows": [row._asdict() for row in rows]})
        return
    for letter, sub in letters(found).values():
        out.print(f"{letter}  {in_words(sub)}", markup=False, highlight=False)
    height, width = input_size
    table = Table(title=str(found), caption=f"key {found.key[:16]}, input {height} x {width}", title_justify="left")
    table.add_column("part", no_wrap=True)
    table.add_column("sub-blocks")
    for name in ("output", "params", "MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(escape(row.part), row.what, row.output, format_count(row.params), format_count(row.macs))
    out.print(table)
    if code:
        for title, text in graph_codes(found):
            out.rule(title)
            out.print(text, markup=False, highlight=False)


@app.command("cost")
def cost_command(
    genotype: GenotypeArgument,
    input_size: InputSize = "224",
    num_classes: Annotated[int, typer.Option(min=0, help="Classes of the head; 0 counts the backbone.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Counts parameters and multiply-adds, exactly, without building the network. (FLOPs = 2 x MACs.)"""
    found = read_genotype(genotype)
    result = cost(found, input_size, num_classes)
    if as_json:
        print_json(
            {"key": found.key, "params": result.params, "macs": result.macs, "input_size": list(result.input_size)}
        )
        return
    height, width = result.input_size
    typer.echo(f"parameters  {result.params:>15,}  ({format_count(result.params)})")
    typer.echo(f"MACs        {result.macs:>15,}  ({format_count(result.macs)}) at {height} x {width}, one image")


@app.command()
def search(
    max_params: Annotated[
        Any, typer.Option(parser=_option(parse_count), metavar="COUNT", help="Most parameters, such as 30M.")
    ] = None,
    min_params: Annotated[
        Any, typer.Option(parser=_option(parse_count), metavar="COUNT", help="Fewest parameters.")
    ] = None,
    max_macs: Annotated[
        Any, typer.Option(parser=_option(parse_count), metavar="COUNT", help="Most multiply-adds, such as 5G.")
    ] = None,
    space: Annotated[str, typer.Option(help="Search space: a name in spaces/, or a file.")] = "uninas",
    start: Annotated[str, typer.Option(help="Where to begin: a start of the space, or a genotype file.")] = "coatnet",
    strategy: Annotated[str, typer.Option(help="walk (accept by proxy) or random (the baseline).")] = "walk",
    proxy: Annotated[str, typer.Option(help="Training-free score that guides the search.")] = "vkdnw",
    iterations: Annotated[int, typer.Option(min=1, help="Candidates to evaluate.")] = _default("iterations"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same study.")] = 0,
    out_folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the study; default: runs/DATE-TIME.")
    ] = None,
    input_size: InputSize = "224",
    proxy_size: Annotated[
        Any, typer.Option(parser=_option(parse_size), metavar="SIZE", help="Side of the noise images of a score.")
    ] = _DEFAULT_SIZE,
    proxy_batch: Annotated[int, typer.Option(min=1, help="Noise images of a score.")] = _default("proxy_batch"),
    proxy_classes: Annotated[int, typer.Option(min=2, help="Classes of scored networks.")] = _default("proxy_classes"),
    repeats: Annotated[int, typer.Option(min=1, help="Initialisations for a first look.")] = _default("repeats"),
    max_repeats: Annotated[
        int, typer.Option(min=1, help="Initialisations at most, where a decision is close.")
    ] = _default("max_repeats"),
    device: Device = "cpu",
    threads: Threads = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study in --out.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the study in --out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Searches a backbone: walks the space from a start, guided by a training-free proxy, within limits on cost.

    Writes study.sqlite (every candidate), best.yaml (the network found) and summary.json in --out. The best network's
    score is measured anew, on seeds that the search never used.
    """
    from .search.run import search as run_search

    settings = {
        "out": out_folder or Path("runs", time.strftime("%Y-%m-%d-%H%M%S")),
        "max_params": max_params,
        "min_params": min_params,
        "max_macs": max_macs,
        "space": space,
        "start": start,
        "strategy": strategy,
        "proxy": proxy,
        "iterations": iterations,
        "seed": seed,
        "input_size": input_size,
        "proxy_size": proxy_size,
        "proxy_batch": proxy_batch,
        "proxy_classes": proxy_classes,
        "repeats": repeats,
        "max_repeats": max_repeats,
        "device": device,
        "threads": threads,
        "resume": resume,
        "force": force,
    }
    config = usage(lambda: SearchConfig.parse(settings))
    with SearchBar(err) as bar:
        summary = run_search(config, bar.update)
    if as_json:
        typer.echo(summary.model_dump_json(indent=1))
        return
    for line in summary_lines(summary):
        typer.echo(line)


@app.command()
def score(
    genotype: GenotypeArgument,
    proxy: Annotated[str, typer.Option(help="Names of proxies, separated by commas.")] = "vkdnw",
    size: Annotated[
        Any, typer.Option(parser=_option(parse_size), metavar="SIZE", help="Side of the noise images.")
    ] = _DEFAULT_SIZE,
    batch: Annotated[int, typer.Option(min=1, help="Noise images.")] = _default("proxy_batch"),
    classes: Annotated[int, typer.Option(min=2, help="Classes of the scored network.")] = _default("proxy_classes"),
    repeats: Annotated[int, typer.Option(min=1, help="Initialisations; 2 or more give a standard error.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same scores.")] = 0,
    device: Device = "cpu",
    threads: Threads = 2,
    as_json: JsonOption = False,
) -> None:
    """Scores a network at initialisation with training-free proxies, on noise."""
    import torch

    from .report.scores import score_table

    torch.set_num_threads(threads)
    found = read_genotype(genotype)
    names = split_names(proxy)
    rows = usage(lambda: score_table(found, names, size, batch, classes, repeats, seed, usable(device)))
    if as_json:
        print_json({"key": found.key, "scores": rows})
        return
    for name, row in rows.items():
        mean, error = row["mean"], row["standard_error"]
        value = f"{mean:.6g}" if mean is not None else f"no score ({row['failure']})"
        spread = f" +- {error:.2g} over {repeats} initialisations" if error is not None else ""
        typer.echo(f"{name:20} {value}{spread}, {row['seconds']:.2f} s")


@app.command()
def validate(
    files: Annotated[list[str], typer.Argument(metavar="GENOTYPE...", help="Files, or names of known networks.")],
    build: Annotated[bool, typer.Option("--build", help="Also build, run one image, and compare the counts.")] = False,
) -> None:
    """Checks genotype files; prints the key of each valid one, and exactly what is wrong with the others."""
    failed = 0
    for text in files:
        try:
            found = read_genotype(text)
            if build:
                _check_build(found, text)
        except GenotypeError as error:
            failed += 1
            err.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(f"{text}: valid, key {found.key}")
    if failed:
        raise typer.Exit(2)


def _check_build(genotype: Genotype, text: str) -> None:
    """Builds, runs one image of a small size that is not square, and compares parameters with the declared count."""
    import torch

    from .compiler import build

    network = build(genotype, num_classes=10).eval()
    declared, real = cost(genotype, num_classes=10).params, sum(p.numel() for p in network.parameters())
    if declared != real:
        raise GenotypeError(f"declares {declared} parameters, but the network has {real}; please report this", text)
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    if not bool(logits.isfinite().all()):
        raise GenotypeError("gives logits that are not finite", text)


app.command()(training.train)
app.command("export-backbone")(training.export_backbone)
app.command()(training.doctor)
app.add_typer(training.protocol_app, name="protocol")
app.add_typer(training.data_app, name="data")


def fail(error: Exception, code: int) -> int:
    """Prints an error in one line (or a line each) and returns the exit code."""
    err.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
    return code


def usage(parse: Callable[[], Any]) -> Any:
    """The result of `parse`; what it refuses is wrong usage, exit code 2."""
    try:
        return parse()
    except UninasError as error:
        raise typer.Exit(fail(error, 2)) from None


def run(application: typer.Typer, arguments: list[str] | None = None) -> NoReturn:
    """Runs an application the way `uninas` does and exits: our errors without a traceback, the codes of this file."""
    try:
        application(arguments)  # exits by itself: 0, 1 when aborted, 2 for wrong usage
    except UninasError as error:
        sys.exit(fail(error, error.exit_code))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAINING_PACKAGES:
            raise
        remedy = 'pip install "uninas-toolkit[mm]"'
        sys.exit(fail(UninasError(f"this needs {error.name}, which is not installed: {remedy}"), 1))
    sys.exit(0)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """uninas finds vision backbones: give a limit, get a network, train it with MMEngine."""
    if version:
        typer.echo(f"uninas-toolkit {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the console command."""
    run(app, spread(sys.argv[1:]))
