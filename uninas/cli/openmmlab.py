"""Commands around OpenMMLab's packages: `doctor`, `mm train`, `mm test`, `export-backbone`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .application import Application
from .common import Force, GenotypeArgument, JsonOption, meaning, print_json, read_genotype
from .overrides import SetOption

app = Application(help="mmdet's and mmseg's own tools, beside a current PyTorch.")
THEIRS = {"allow_extra_args": True, "allow_interspersed_args": False}
"""Whatever follows the config is the tool's."""
Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A config of mmdet or mmseg.")]


@app.command("train", context_settings=THEIRS)
def mm_train(context: typer.Context, config: Config) -> None:
    """Runs the `tools/train.py` of the config's package, mmdet or mmseg; further words are that tool's."""
    from ..mm_compat.stock import run_tool

    run_tool("train", config, context.args)


@app.command("test", context_settings=THEIRS)
def mm_test(context: typer.Context, config: Config) -> None:
    """Runs the `tools/test.py` of the config's package, mmdet or mmseg; the next word is a checkpoint."""
    from ..mm_compat.stock import run_tool

    run_tool("test", config, context.args)


def doctor(
    compile_help: Annotated[
        bool, typer.Option("--compile-help", help="How to compile every operator of mmcv.")
    ] = False,
    try_imports: Annotated[bool, typer.Option("--try", help="Also import the packages, in a process apart.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Says what is installed for training, whether the versions go together, and the command that mends them."""
    from ..mm_compat import doctor as checks

    if compile_help:
        typer.echo(checks.COMPILE_HELP)
        return
    report = checks.diagnose()
    if try_imports:
        checks.try_imports(report)
    if as_json:
        print_json(report.to_dict())
    else:
        typer.echo(report.to_text())
    if not report.ok:
        raise typer.Exit(1)


def export_backbone(
    genotype: GenotypeArgument,
    to: Annotated[str, typer.Option(metavar="PACKAGE", help="mmdet or mmseg.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder.")],
    framework: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="mask_rcnn, cascade_rcnn, retinanet; upernet, fpn. Default: the first of each."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="CHECKPOINT", help="Checkpoint with the backbone's weights: a file or URL.")
    ] = None,
    protocol_name: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="PROTOCOL",
            help=meaning("protocol", "Default: COCO's, ADE20K's."),
            autocompletion=completion.protocols,
        ),
    ] = None,
    data_root: Annotated[str | None, typer.Option(metavar="DIR", help=meaning("data_root"))] = None,
    changes: SetOption = None,
    force: Force = False,
    as_json: JsonOption = False,
) -> None:
    """Writes a self-contained config for stock mmdet or mmseg, the backbone's weights, and how to run it."""
    network = read_genotype(genotype)

    from ..engine import protocol
    from ..export.openmmlab import export

    done = export(
        network,
        to,
        out,
        framework=framework,
        weights=weights,
        protocol=protocol_name,
        changes=protocol.parse_changes(changes or []),
        data_root=data_root,
        force=force,
    )
    files = [str(path) for path in (done.config, done.checkpoint, done.readme) if path is not None]
    if as_json:
        print_json({"files": files})
        return
    if done.loaded:
        typer.echo(str(done.loaded))
    typer.echo("\n".join(f"written: {file}" for file in files))
