"""Commands on one network: `show`, `cost`, `score`, `validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import GenotypeError
from ..search.config import SearchConfig
from ..units import format_count
from . import completion
from .common import (
    Batch,
    Classes,
    Device,
    GenotypeArgument,
    InputSize,
    JsonOption,
    Seed,
    Threads,
    err,
    meaning,
    out,
    print_json,
    read_genotype,
    usage,
)
from .progress import waiting

if TYPE_CHECKING:
    from ..genotype import Genotype


def _default(name: str) -> Any:
    """The default of a search setting."""
    return SearchConfig.model_fields[name].default


SCORE_SIZE, SCORE_BATCH, SCORE_CLASSES = (
    str(_default("proxy_size")),
    _default("proxy_batch"),
    _default("proxy_classes"),
)
"""Images and classes of a score, where nothing is said."""


def show(
    genotype: GenotypeArgument,
    input_size: InputSize = "224",
    classes: Classes = 1000,
    code: Annotated[bool, typer.Option("--code", help="Print the compiled code of each distinct graph.")] = False,
    passes: Annotated[bool, typer.Option("--passes", help="Count what compiling rewrites in each sub-block.")] = False,
    drawing: Annotated[bool, typer.Option("--drawing", help="Draw each distinct sub-block in box characters.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Shows a network block by block: its graphs, output sizes, parameters and MACs."""
    from rich.markup import escape
    from rich.table import Table

    from ..report.drawing.labels import subblock_labels
    from ..report.text import describe, format_subblock, graph_codes, graph_rewrites

    found = read_genotype(genotype)
    rows = describe(found, input_size, classes)
    if as_json:
        content = {"key": found.key, "name": found.name, "rows": [row._asdict() for row in rows]}
        print_json({**content, "rewrites": graph_rewrites(found)} if passes else content)
        return
    subs = {tuple(sub.signature): sub for _, sub in found.subblocks}
    for signature, letter in subblock_labels(found).items():
        out.print(f"{letter}  {format_subblock(subs[signature])}", markup=False, highlight=False)
    height, width = input_size
    table = Table(title=str(found), caption=f"key {found.key[:16]}, input {height} x {width}", title_justify="left")
    table.add_column("part", no_wrap=True)
    table.add_column("sub-blocks")
    for name in ("output", "params", "MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(escape(row.part), row.what, row.output, format_count(row.params), format_count(row.macs))
    out.print(table)
    if drawing:
        from ..report.drawing.terminal import draw_lines

        for letter, text in draw_lines(found, input_size):
            typer.echo(f"\n{letter}\n{text}")
    if passes:
        for letter, counts in graph_rewrites(found).items():
            made = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
            typer.echo(f"{letter}  {made or 'nothing to rewrite'}")
    if code:
        for title, text in graph_codes(found):
            out.rule(title)
            out.print(text, markup=False, highlight=False)


def cost_command(
    genotype: GenotypeArgument,
    input_size: InputSize = "224",
    classes: Classes = 1000,
    as_json: JsonOption = False,
) -> None:
    """Counts parameters and multiply-adds, exactly, without building the network. (FLOPs = 2 x MACs.)"""
    from ..genotype import cost

    found = read_genotype(genotype)
    result = cost(found, input_size, classes)
    if as_json:
        print_json(
            {"key": found.key, "params": result.params, "macs": result.macs, "input_size": list(result.input_size)}
        )
        return
    height, width = result.input_size
    typer.echo(f"parameters  {result.params:>15,}  ({format_count(result.params)})")
    typer.echo(f"MACs        {result.macs:>15,}  ({format_count(result.macs)}) at {height} x {width}, one image")


def score(
    genotype: GenotypeArgument,
    proxy: Annotated[
        str,
        typer.Option(
            metavar="PROXY",
            help=meaning("proxy", "Proxies, separated by commas."),
            autocompletion=completion.proxies,
        ),
    ] = "vkdnw",
    input_size: InputSize = SCORE_SIZE,
    batch: Batch = SCORE_BATCH,
    classes: Annotated[int, typer.Option(min=2, metavar="N", help=meaning("classes"))] = SCORE_CLASSES,
    repeats: Annotated[
        int, typer.Option(min=1, metavar="N", help="Initialisations; 2 or more give a standard error.")
    ] = 3,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 2,
    as_json: JsonOption = False,
) -> None:
    """Scores a network without training, by proxies, on noise."""
    found = read_genotype(genotype)

    import torch

    from ..device import usable
    from ..proxies import split_names
    from ..report.scores import score_table

    torch.set_num_threads(threads)
    names = split_names(proxy)
    with waiting(err, "scoring"):
        rows = usage(lambda: score_table(found, names, input_size, batch, classes, repeats, seed, usable(device)))
    if as_json:
        print_json({"key": found.key, "scores": rows})
        return
    for name, row in rows.items():
        mean, error = row["mean"], row["standard_error"]
        value = f"{mean:.6g}" if mean is not None else f"no score ({row['failure']})"
        spread = f" +- {error:.2g} over {repeats} initialisations" if error is not None else ""
        typer.echo(f"{name:20} {value}{spread}, {row['seconds']:.2f} s")


def validate(
    genotypes: Annotated[
        list[str], typer.Argument(metavar="GENOTYPE", help=meaning("genotype"), autocompletion=completion.genotypes)
    ],
    build: Annotated[bool, typer.Option("--build", help="Also build, run one image, and compare the counts.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Checks genotype files; prints the key of each valid one, and exactly what is wrong with the others."""
    results = [_validated(text, build) for text in genotypes]
    if as_json:
        print_json({"files": results})
    else:
        for result in results:
            if result["error"] is None:
                typer.echo(f"{result['file']}: valid, key {result['key']}")
            else:
                err.print(f"error: {result['error']}", markup=False, highlight=False, soft_wrap=True)
    if any(result["error"] is not None for result in results):
        raise typer.Exit(2)


def _validated(text: str, build: bool) -> dict[str, str | None]:
    """The key of a network, or what is wrong with its file."""
    try:
        found = read_genotype(text)
        if build:
            _check_build(found, text)
    except GenotypeError as error:
        return {"file": text, "key": None, "error": str(error)}
    return {"file": text, "key": found.key, "error": None}


def _check_build(genotype: Genotype, text: str) -> None:
    """Builds, runs one image of a small size that is not square, and compares parameters with the declared count."""
    import torch

    from ..compiler import build
    from ..genotype import cost

    network = build(genotype, num_classes=10).eval()
    declared, real = cost(genotype, num_classes=10).params, sum(p.numel() for p in network.parameters())
    if declared != real:
        raise GenotypeError(f"declares {declared} parameters, but the network has {real}; please report this", text)
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    if not bool(logits.isfinite().all()):
        raise GenotypeError("gives logits that are not finite", text)
