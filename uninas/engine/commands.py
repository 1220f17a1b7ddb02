"""Commands around training: `doctor`, `protocol`, `data`, `train` and `export-backbone`.

Heavy packages are imported inside the commands, so that `uninas --help` does not wait for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .. import resources
from .options import merge_options, rank

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
GenotypeOption = Annotated[str, typer.Option("--genotype", help="A genotype file, or the name of a known network.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the protocol, e.g. schedule.epochs=3.")
]
CfgOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Change the mmengine config, e.g. train_dataloader.batch_size=8."),
]

protocol_app = typer.Typer(no_args_is_help=True, help="Training protocols: what a run does, apart from the network.")
data_app = typer.Typer(no_args_is_help=True, help="Small data sets in real formats, and checks of real ones.")


def doctor(
    compile_help: Annotated[
        bool, typer.Option("--compile-help", help="How to compile every operator of mmcv.")
    ] = False,
    install_ops: Annotated[
        bool, typer.Option("--install-ops", help="Let mmdet's own tools find operators; two files in site-packages.")
    ] = False,
    remove_ops: Annotated[bool, typer.Option("--remove-ops", help="Take those two files away again.")] = False,
    try_imports: Annotated[bool, typer.Option("--try", help="Also import the packages, in a process apart.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Says what is installed for training, whether the versions go together, and the command that mends them."""
    from . import doctor as checks
    from . import site_ops

    if compile_help:
        typer.echo(checks.COMPILE_HELP)
        return
    if install_ops or remove_ops:
        done, verb = (site_ops.install(), "written") if install_ops else (site_ops.remove(), "removed")
        typer.echo("\n".join(f"{verb}: {path}" for path in done) or "nothing to remove")
        return
    report = checks.diagnose()
    if try_imports:
        checks.try_imports(report)
    typer.echo(json.dumps(report.to_dict(), indent=1) if as_json else report.to_text())
    if not report.ok:
        raise typer.Exit(1)


@protocol_app.command("list")
def list_protocols() -> None:
    """Lists the protocols that travel with uninas."""
    from . import protocol

    for name in resources.available("protocols"):
        found = protocol.load(name)
        size = f"{found.data.input_size[0]} x {found.data.input_size[1]}"
        typer.echo(f"{name:18} {found.task:15} {found.schedule.epochs:4} epochs, {size}, {found.batch_size} a process")


@protocol_app.command("show")
def show_protocol(
    name: Annotated[str, typer.Argument(help="A name from `uninas protocol list`, or a file.")],
    genotype: GenotypeOption = "coatnet",
    processes: Annotated[int, typer.Option(min=1, help="Training processes; learning rates scale with them.")] = 1,
    data_root: Annotated[str | None, typer.Option(help="The data set's folder.")] = None,
    changes: SetOption = None,
    cfg_options: CfgOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prints the complete mmengine config that a run with this protocol has."""
    from . import protocol
    from .backbone import as_genotype
    from .config import build_config

    plan = protocol.load(name, protocol.parse_changes(changes or []))
    cfg = build_config(plan, as_genotype(genotype), data_root, processes)
    merge_options(cfg, cfg_options)
    typer.echo(json.dumps(cfg.to_dict(), indent=1, default=str) if as_json else cfg.pretty_text)


@data_app.command("make")
def make_data(
    kind: Annotated[str, typer.Argument(help="tiny-imagenet, digits, tiny-coco or tiny-ade.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 0,
    train: Annotated[int | None, typer.Option(min=1, help="Training images.")] = None,
    val: Annotated[int | None, typer.Option(min=1, help="Validation images.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a data set that was made here before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Writes a small data set in a real format: for trying things out, and for tests."""
    from .data.make import make

    sizes = {key: value for key, value in (("train", train), ("val", val)) if value is not None}
    counts = make(kind, directory, seed, force, **sizes)
    if as_json:
        typer.echo(json.dumps({"kind": kind, "directory": str(directory), "seed": seed, **counts}, indent=1))
        return
    typer.echo(f"{directory}: {counts['classes']} classes, {counts['train']} training, {counts['val']} held-out images")


@data_app.command("check")
def check_data(
    name: Annotated[str, typer.Argument(metavar="PROTOCOL", help="The protocol that the data set is for.")],
    data_root: Annotated[Path, typer.Argument(metavar="DIR", help="The data set's folder.")],
    changes: SetOption = None,
) -> None:
    """Checks that a data set is the one a protocol describes."""
    from . import protocol
    from .check import check

    remarks = check(protocol.load(name, protocol.parse_changes(changes or [])), data_root)
    typer.echo("".join(f"note: {remark}\n" for remark in remarks), nl=False)
    typer.echo(f"{data_root}: fits the protocol {name}")


def train(
    protocol_name: Annotated[str, typer.Option("--protocol", help="A name from `uninas protocol list`, or a file.")],
    genotype: GenotypeOption,
    data_root: Annotated[Path, typer.Option(help="The data set's folder.")],
    work_dir: Annotated[
        Path | None, typer.Option(help="Where everything goes; default: runs/PROTOCOL-GENOTYPE.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the newest checkpoint in --work-dir.")
    ] = False,
    launcher: Annotated[
        str | None, typer.Option(help="none, pytorch (torchrun) or slurm (srun). Default: torchrun is noticed.")
    ] = None,
    amp: Annotated[bool, typer.Option("--amp", help="Mixed precision; the protocol's kind, or fp16.")] = False,
    pretrained: Annotated[
        str | None, typer.Option(help="Checkpoint that the backbone starts from: a file or a URL.")
    ] = None,
    changes: SetOption = None,
    cfg_options: CfgOption = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights, order and augmentation.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Trains a genotype under a protocol: classification, detection or segmentation.

    Checks the data first. Writes checkpoints, the log and the complete config to --work-dir; --resume continues a
    killed run exactly. Start it with torchrun for several processes.
    """
    from . import protocol
    from .backbone import as_genotype
    from .check import check
    from .config import build_config
    from .run import launched_by, processes_of, train_config
    from .weights import read_checkpoint

    plan = protocol.load(protocol_name, protocol.parse_changes([*(changes or []), *_seed_change(seed)]))
    network = as_genotype(genotype)
    launcher = launcher or launched_by()
    processes = processes_of(launcher)
    if pretrained is not None:
        read_checkpoint(pretrained)
    if rank() == 0:
        for remark in check(plan, data_root):
            typer.echo(f"note: {remark}", err=True)
    folder = work_dir or Path("runs", f"{plan.name}-{network.name or network.key[:8]}")
    cfg = build_config(plan, network, str(data_root), processes, str(folder), pretrained)
    merge_options(cfg, cfg_options)
    outcome = train_config(cfg, resume, launcher, amp)
    if rank() != 0:
        return
    if as_json:
        typer.echo(json.dumps(outcome.to_dict(), indent=1))
        return
    for line in outcome.lines():
        typer.echo(line)


def export_backbone(
    genotype: Annotated[str, typer.Argument(metavar="GENOTYPE", help="A file, or the name of a known network.")],
    to: Annotated[str, typer.Option(help="mmdet or mmseg.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder.")],
    framework: Annotated[
        str | None, typer.Option(help="mask_rcnn, cascade_rcnn, retinanet; upernet, fpn. Default: the first of each.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Checkpoint with the backbone's weights: a file or a URL.")
    ] = None,
    protocol_name: Annotated[
        str | None, typer.Option("--protocol", help="What fills the config; default: COCO's, ADE20K's.")
    ] = None,
    data_root: Annotated[str | None, typer.Option(help="The data set's folder.")] = None,
    changes: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that was exported before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Writes a self-contained config for stock mmdet or mmseg, the backbone's weights, and how to run it."""
    from ..export.openmmlab import export
    from . import protocol
    from .backbone import as_genotype

    done = export(
        as_genotype(genotype),
        to,
        out,
        framework=framework,
        weights=weights,
        protocol=protocol_name,
        changes=protocol.parse_changes(changes or []),
        data_root=data_root,
        force=force,
    )
    files = [path for path in (done.config, done.checkpoint, done.readme) if path is not None]
    if as_json:
        typer.echo(json.dumps({"files": [str(path) for path in files]}, indent=1))
        return
    if done.loaded:
        typer.echo(str(done.loaded))
    typer.echo("\n".join(f"written: {path}" for path in files))


def _seed_change(seed: int | None) -> list[str]:
    return [] if seed is None else [f"seed={seed}"]
