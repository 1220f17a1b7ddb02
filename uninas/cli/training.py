"""Commands that train and use what was trained: `train`, `test`, `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import DataRoot, GenotypeArgument, JsonOption, ProtocolOption, meaning, print_json, read_genotype
from .overrides import CfgOption, SetOption, merge_options

Checkpoint = Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A checkpoint of `uninas train`: a file or URL.")]
Launcher = Annotated[
    str | None,
    typer.Option(metavar="LAUNCHER", help="none, pytorch (torchrun) or slurm (srun). Default: torchrun is noticed."),
]


def train(
    genotype: GenotypeArgument,
    protocol_name: ProtocolOption,
    data_root: DataRoot,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where everything goes; default: runs/PROTOCOL-GENOTYPE.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the newest checkpoint in --out.")] = False,
    launcher: Launcher = None,
    amp: Annotated[bool, typer.Option("--amp", help="Mixed precision: the protocol's kind, or fp16.")] = False,
    pretrained: Annotated[
        str | None, typer.Option(metavar="CHECKPOINT", help="Checkpoint that the backbone starts from: a file or URL.")
    ] = None,
    changes: SetOption = None,
    cfg_options: CfgOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help=meaning("seed", "Default: the protocol's."))
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Trains a genotype under a protocol: classification, detection or segmentation.

    Checks the data first. Writes checkpoints, the log and the complete config to --out; --resume continues a killed
    run exactly. Start it with torchrun for several processes.
    """
    network = read_genotype(genotype)

    from ..engine import protocol

    seeded = [] if seed is None else [f"seed={seed}"]
    plan = protocol.load(protocol_name, protocol.parse_changes([*(changes or []), *seeded]))

    from ..mm_compat import import_yapf

    import_yapf()  # each process of torchrun may be the first on this machine
    from ..engine.check import check  # with torch and mmengine, after what is answered without
    from ..engine.config import build_config
    from ..engine.run import processes_of, rank, train_config
    from ..engine.weights import read_checkpoint
    from ..mm_compat.distributed import launched_by

    launcher = launcher or launched_by()
    processes = processes_of(launcher)
    if pretrained is not None:
        read_checkpoint(pretrained)
    if rank() == 0:
        for remark in check(plan, data_root):
            typer.echo(f"note: {remark}", err=True)
    folder = out or Path("runs", f"{plan.name}-{network.name or network.key[:8]}")
    cfg = build_config(plan, network, str(data_root), processes, str(folder), pretrained)
    merge_options(cfg, cfg_options)
    outcome = train_config(cfg, resume, launcher, amp)
    if rank() != 0:
        return
    if as_json:
        print_json(outcome.to_dict())
    else:
        typer.echo("\n".join(outcome.lines()))


def test(
    checkpoint: Checkpoint,
    data_root: Annotated[
        str | None, typer.Option(metavar="DIR", help=meaning("data_root", "Default: as in training."))
    ] = None,
    launcher: Launcher = None,
    cfg_options: CfgOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validates a checkpoint on held-out data, those of its protocol, and prints the metrics."""
    from ..mm_compat import import_yapf

    import_yapf()
    from ..engine.use import config_of, test_checkpoint

    cfg = config_of(checkpoint, data_root)
    merge_options(cfg, cfg_options)
    metrics = test_checkpoint(checkpoint, cfg, launcher)
    if as_json:
        print_json(metrics)
    else:
        typer.echo("\n".join(f"{name:24} {value:.4g}" for name, value in metrics.items()))


def predict(
    checkpoint: Checkpoint,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Pictures.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where drawings of detections and segments go.")] = Path(
        "predictions"
    ),
    threshold: Annotated[float, typer.Option(min=0, max=1, metavar="X", help="Least score of what is drawn.")] = 0.3,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help=meaning("device", "Default: a GPU if there is one."))
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Applies a checkpoint to pictures: the five likeliest classes, or drawings of boxes, masks and segments."""
    from ..engine.use import predict as apply

    found = apply(checkpoint, images, out, threshold, device)
    if as_json:
        print_json({"predictions": [prediction.to_dict() for prediction in found]})
    else:
        typer.echo("\n".join(str(prediction) for prediction in found))
