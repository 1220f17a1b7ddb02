"""`uninas protocol`: what a training run does, apart from the network."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import resources
from .application import Application
from .common import GenotypeArgument, JsonOption, ProtocolArgument, meaning, print_json, read_genotype
from .overrides import CfgOption, SetOption, merge_options

app = Application(help="Training protocols: what a run does, apart from the network.")


@app.command("list")
def list_protocols(as_json: JsonOption = False) -> None:
    """Lists the protocols that travel with uninas."""
    from ..engine import protocol

    protocols = {name: protocol.load(name) for name in resources.available("protocols")}
    if as_json:
        print_json({name: found.model_dump(mode="json") for name, found in protocols.items()})
        return
    for name, found in protocols.items():
        height, width = found.data.input_size
        told = f"{found.schedule.epochs:4} epochs, {height} x {width}, {found.batch_size} a process"
        typer.echo(f"{name:18} {found.task:15} {told}")


@app.command("show")
def show(
    name: ProtocolArgument,
    genotype: GenotypeArgument = "coatnet",
    processes: Annotated[int, typer.Option(min=1, metavar="N", help="Processes to write the learning rate for.")] = 1,
    data_root: Annotated[str | None, typer.Option(metavar="DIR", help=meaning("data_root"))] = None,
    changes: SetOption = None,
    cfg_options: CfgOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prints the complete mmengine config of a run with a protocol."""
    network = read_genotype(genotype)

    from ..engine import protocol

    plan = protocol.load(name, protocol.parse_changes(changes or []))

    from ..engine.config import build_config

    cfg = build_config(plan, network, data_root, processes)
    merge_options(cfg, cfg_options)
    if as_json:
        print_json(cfg.to_dict())
    else:
        typer.echo(cfg.pretty_text)
