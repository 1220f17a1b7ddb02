"""`uninas export`: a network as a file that runs without uninas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Force, GenotypeArgument, InputSize, JsonOption, Threads, meaning, print_json, read_genotype


def export(
    genotype: GenotypeArgument,
    to: Annotated[str, typer.Option(metavar="FORM", help="onnx, torch-export, aoti or source.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="What to write: .onnx, .pt2, .py.")],
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A checkpoint: .pth, .pt or .safetensors. Default: initial weights."),
    ] = None,
    input_size: InputSize = "224",
    classes: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=meaning("classes", "0: pooled features. Default: those of the weights, or 1000."),
        ),
    ] = None,
    dynamic: Annotated[
        str, typer.Option(metavar="DIMENSIONS", help="What stays free: batch, size, both with a comma, or none.")
    ] = "batch",
    framework: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --to source: a registered backbone for mmdet or mmseg."),
    ] = None,
    threads: Threads = 2,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Writes a network for use without uninas.

    ONNX; PyTorch's torch.export; a package compiled ahead of time for this processor (aoti); or one readable Python
    file that needs PyTorch alone (source).

    The file is compared with the network on noise, at batches of 1, 2 and 5 and at two image sizes as far as these stay
    free. Where outputs differ by more than 1e-4, nothing is written.
    """
    import torch

    from ..export.run import export_network, parse_dynamic

    torch.set_num_threads(threads)
    done = export_network(
        read_genotype(genotype),
        to,
        out,
        input_size=input_size,
        num_classes=classes,
        dynamic=parse_dynamic(dynamic),
        weights=weights,
        framework=framework,
        force=force,
    )
    if as_json:
        report = {
            "to": to,
            "files": [str(file) for file in done.files],
            "notes": list(done.notes),
            "seconds": done.seconds,
        }
        facts = done.job.facts() if done.job else {}
        print_json({**report, **facts, "checks": [check._asdict() for check in done.checks]})
        return
    for note in done.notes:
        typer.echo(f"note: {note}")
    for check in done.checks:
        typer.echo(f"{check.batch} x 3 x {check.height} x {check.width}: differs by {check.difference:.1e}")
    typer.echo("\n".join(f"written: {file}" for file in done.files))
