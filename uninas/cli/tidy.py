"""`uninas tidy`: a found network without what it does not need."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import GenotypeError
from ..units import format_count
from .common import Force, GenotypeArgument, InputSize, JsonOption, Threads, err, print_json, read_genotype
from .progress import waiting


def tidy(
    genotype: GenotypeArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The tidied network; default: GENOTYPE's stem + _tidy.yaml.")
    ] = None,
    force: Force = False,
    input_size: InputSize = "224",
    threads: Threads = 2,
    as_json: JsonOption = False,
) -> None:
    """Takes out of a network what changes nothing: dropouts, a norm behind a norm, masks as wide as the map.

    The network that is left computes the same, with the same weights, as is checked by running both.
    """
    source = Path(genotype)
    target = out or source.with_name(f"{source.stem}_tidy.yaml")
    found = read_genotype(genotype)
    if target.exists() and not force:
        raise GenotypeError("there is such a file already; --force replaces it, --out FILE writes another", str(target))
    if target.is_dir() or not target.parent.is_dir():
        raise GenotypeError(
            "cannot be written: a file in a folder that exists is needed; choose another --out", str(target)
        )
    import torch

    from ..genotype import cost
    from ..search.tidy import tidy as take_out

    torch.set_num_threads(threads)
    with waiting(err, "tidying"):
        tidied, removals = take_out(found, size=input_size)
    tidied.save(target)
    before, after = cost(found, input_size), cost(tidied, input_size)
    if as_json:
        report = {
            "out": str(target),
            "key": {"before": found.key, "after": tidied.key},
            "params": {"before": before.params, "after": after.params},
            "macs": {"before": before.macs, "after": after.macs},
            "input_size": list(before.input_size),
            "removed": [asdict(removal) for removal in removals],
        }
        print_json(report)
        return
    for removal in removals:
        saved = f"{removal.params:,} parameters, {format_count(removal.macs)} MACs"
        typer.echo(f"{removal.where}  {removal.what}: {saved}, difference {removal.difference:.1g}")
    height, width = before.input_size
    typer.echo(f"taken out   {len(removals)}" if removals else "taken out   nothing: the network needs all that it has")
    typer.echo(f"parameters  {before.params:>15,}  -> {after.params:>15,}")
    typer.echo(f"MACs        {before.macs:>15,}  -> {after.macs:>15,}  at {height} x {width}, one image")
    typer.echo(f"written     {target}")
