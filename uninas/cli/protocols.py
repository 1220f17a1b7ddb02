"""`uninas protocol`: what a training run does, apart from the network."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import resources
from .common import JsonOption, print_json
from .overrides import CfgOption, GenotypeOption, SetOption, merge_options

app = typer.Typer(no_args_is_help=True, help="Training protocols: what a run does, apart from the network.")


@app.command("list")
def list_protocols() -> None:
    """Lists the protocols that travel with uninas."""
    from ..engine import protocol

    for name in resources.available("protocols"):
        found = protocol.load(name)
        height, width = found.data.input_size
        told = f"{found.schedule.epochs:4} epochs, {height} x {width}, {found.batch_size} a process"
        typer.echo(f"{name:18} {found.task:15} {told}")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A name from `uninas protocol list`, or a file.")],
    genotype: GenotypeOption = "coatnet",
    processes: Annotated[int, typer.Option(min=1, help="Processes to write the learning rate for.")] = 1,
    data_root: Annotated[str | None, typer.Option(help="The data set's folder.")] = None,
    changes: SetOption = None,
    cfg_options: CfgOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prints the complete mmengine config that a run with this protocol has."""
    from ..engine import protocol
    from ..engine.backbone import as_genotype
    from ..engine.config import build_config

    plan = protocol.load(name, protocol.parse_changes(changes or []))
    cfg = build_config(plan, as_genotype(genotype), data_root, processes)
    merge_options(cfg, cfg_options)
    if as_json:
        print_json(cfg.to_dict())
    else:
        typer.echo(cfg.pretty_text)
