"""Puts a complete config together."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from ... import __version__
from ...genotype import Genotype
from ..errors import EngineError
from ..settings import Classification, Protocol
from . import classification, dense
from .runtime import runtime

PLACEHOLDER = "DATA_ROOT"
"""Stands for the data set's folder in a config that is only printed."""


def build_config(
    protocol: Protocol,
    genotype: Genotype,
    data_root: str | None = None,
    processes: int = 1,
    work_dir: str | None = None,
    pretrained: str | None = None,
) -> Config:
    """A config that mmengine's Runner runs as it is, and that can be printed, changed and saved.

    Args:
        processes: for which the learning rates are written, scaled as the protocol was published; mmengine scales
            them to the number that a run has.
        pretrained: checkpoint whose backbone the training starts from.

    Raises:
        EngineError: a package is missing, or the genotype does not fit the protocol.
    """
    if type(processes) is not int or processes < 1:
        raise EngineError(f"processes: wants a whole number of at least 1, got {processes!r}")
    root = data_root or PLACEHOLDER
    settings: Any = protocol.model  # type: ignore[attr-defined]
    backbone: dict[str, Any] = {
        "drop_path_rate": settings.drop_path,
        "with_cp": settings.checkpointing,
        "channels_last": settings.channels_last,
        "compile": settings.compile,
        "norm_eval": protocol.norm == "eval",
        "seed": protocol.seed,
        "init": settings.init,
        "init_cfg": {"type": "Pretrained", "checkpoint": str(pretrained)} if pretrained else None,
    }
    part: Any = classification if isinstance(protocol, Classification) else dense
    model = part.model(protocol, genotype, **backbone)
    cfg = runtime(protocol, processes, part.best_metric(protocol), part.visualizer(protocol))
    data = part.data(protocol, root)
    cfg["default_hooks"] |= data.pop("default_hooks", {})
    cfg |= {"model": model, **data}
    if work_dir is not None:
        cfg["work_dir"] = str(work_dir)
    cfg["uninas"] = {
        "version": __version__,
        "protocol": protocol.name,
        "processes": processes,
        "genotype": {"name": genotype.name, "key": genotype.key},
        "learning_rates": protocol.learning_rates(processes),
    }
    return Config(cfg)
