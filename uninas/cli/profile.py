"""`uninas profile`: where a network's time and memory go. `uninas compare`: networks side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import completion
from .common import (
    Batch,
    Classes,
    Device,
    Force,
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
from .networks import SCORE_BATCH, SCORE_CLASSES, SCORE_SIZE
from .progress import ProgressLog, waiting

if TYPE_CHECKING:
    from ..profiling import Compared, Profile

Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Also write the numbers: .csv or .json.")]


def profile(
    genotype: GenotypeArgument,
    input_size: InputSize = "224",
    batch: Batch = 1,
    classes: Classes = 1000,
    device: Device = "cpu",
    threads: Threads = 2,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Timed passes. Default: until the median is known to 2 %, for 2 s."),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Time torch.compile beside eager mode, and no single operations.")
    ] = False,
    out_file: Out = None,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Measures a network: latency, throughput, peak memory, parameters, MACs, by stage and by kind of operation.

    Operations are timed in passes of their own, with clocks around each, and not scaled to the latency of the whole.
    Peak memory is what torch's allocator gives out during a pass, with weights and images.
    """
    _check(out_file, force)
    found = read_genotype(genotype)

    from ..genotype import cost

    cost(found, input_size, classes)  # images that are too small are refused before torch is imported

    from ..device import usable
    from ..profiling import profile_network
    from ..profiling.text import facts, profile_csv, profile_tables

    usage(lambda: usable(device))
    with waiting(err, "measuring"):
        done: Profile = profile_network(
            found,
            batch=batch,
            size=input_size,
            classes=classes,
            device=device,
            threads=threads,
            runs=repeats,
            compiled=compiled,
        )
    data = done.to_dict()
    if out_file is not None:
        _write(out_file, profile_csv(done), data)
    if as_json:
        print_json(data)
        return
    for what, told in facts(done):
        out.print(f"{what:13}{told}", markup=False, highlight=False, soft_wrap=True)
    for table in profile_tables(done):
        out.print(table)
    if out_file is not None:
        typer.echo(f"wrote {out_file}")


def compare(
    genotypes: Annotated[
        list[str], typer.Argument(metavar="GENOTYPE", help=meaning("genotype"), autocompletion=completion.genotypes)
    ],
    proxy: Annotated[
        str,
        typer.Option(metavar="PROXY", help=meaning("proxy", "Separated by commas."), autocompletion=completion.proxies),
    ] = "",
    input_size: InputSize = "224",
    batch: Batch = 1,
    classes: Classes = 1000,
    repeats: Annotated[
        int, typer.Option(min=1, metavar="N", help="Initialisations of a score; 2 or more give a standard error.")
    ] = 3,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: Threads = 2,
    out_file: Out = None,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Puts networks side by side: parameters, MACs, latency, peak memory, scores; in per cent of the first.

    Scores are those of `uninas score` with its defaults: all networks see the same noise and the same seeds, so
    differences have smaller errors than scores. What fails for one network is named, and the others go on; the exit
    code is 1 then.
    """
    _check(out_file, force)
    found = {name: read_genotype(name) for name in dict.fromkeys(genotypes)}

    import torch

    from ..device import usable
    from ..profiling import compare_networks
    from ..profiling.compare import ScoreSettings
    from ..profiling.text import comparison_csv, comparison_table
    from ..proxies import split_names
    from ..report.scores import check_single
    from ..units import parse_size

    names = usage(lambda: split_names(proxy)) if proxy else []
    usage(lambda: (check_single(names), usable(device)))
    torch.set_num_threads(threads)
    scoring = ScoreSettings(parse_size(SCORE_SIZE), SCORE_BATCH, SCORE_CLASSES, repeats, seed)
    with ProgressLog(err, "measuring", transient=True) as log:
        networks: list[Compared] = compare_networks(
            found,
            batch=batch,
            size=input_size,
            classes=classes,
            device=device,
            threads=threads,
            proxies=names,
            scoring=scoring,
            progress=lambda done, count, name: log.update(done, count, f"measuring {name}"),
        )
    data = {"networks": [each.to_dict() for each in networks], "batch": batch, "input_size": list(input_size)}
    data |= {"classes": classes, "device": device, "threads": threads, "scores": scoring._asdict()}
    if out_file is not None:
        _write(out_file, comparison_csv(networks), data)
    if as_json:
        print_json(data)
    else:
        out.print(comparison_table(networks))
        if out_file is not None:
            typer.echo(f"wrote {out_file}")
    failed = {f"{each.name}: {quantity}: {told}" for each in networks for quantity, told in each.failures.items()}
    for line in sorted(failed):
        err.print(line, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _check(path: Path | None, force: bool) -> None:
    """Whether the file can be written, before anything is measured."""
    from ..report.files import check_target

    if path is None:
        return
    if path.suffix not in (".csv", ".json"):
        raise typer.BadParameter(f"--out {path}: choose a name that ends in .csv or .json")
    check_target(path, force)


def _write(path: Path, table: str, data: dict[str, Any]) -> None:
    import json

    from ..files import write_text
    from ..report.drawing.layout import DrawingError

    text = table if path.suffix == ".csv" else json.dumps(data, indent=1) + "\n"
    write_text(path, text, DrawingError)
