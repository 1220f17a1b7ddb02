"""Puts a complete config together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from ... import __version__
from ...genotype import Genotype
from ..errors import EngineError
from ..settings import Classification, Detection, Protocol, Segmentation
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
        processes: number of training processes; scales the learning rates as the protocol was published.
        pretrained: checkpoint whose backbone the training starts from.

    Raises:
        EngineError: a package is missing, or the genotype does not fit the protocol.
    """
    if type(processes) is not int or processes < 1:
        raise EngineError(f"processes: wants a whole number of at least 1, got {processes!r}")
    root = data_root or PLACEHOLDER
    backbone: dict[str, Any] = {
        "drop_path_rate": protocol.model.drop_path,  # type: ignore[attr-defined]
        "with_cp": protocol.model.checkpointing,  # type: ignore[attr-defined]
        "seed": protocol.seed,
        "init_cfg": {"type": "Pretrained", "checkpoint": str(pretrained)} if pretrained else None,
    }
    if isinstance(protocol, Classification):
        model, best = classification.model(protocol, genotype, **backbone), classification.BEST
        data = classification.data(protocol, root)
    elif isinstance(protocol, Detection):
        model, best = dense.model(protocol, genotype, **backbone), dense.best_metric(protocol)
        data = dense.detection_data(protocol, root)
    elif isinstance(protocol, Segmentation):
        model, best = dense.model(protocol, genotype, **backbone), dense.best_metric(protocol)
        data = dense.segmentation_data(protocol, root)
    else:
        raise EngineError(f"there is no config for a {type(protocol).__name__}")
    shared = runtime(protocol, processes, best)
    cfg = _joined(shared, {"model": model, **data})
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


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both together; mappings under the same key are joined, anything else must be in one of them only."""
    joined = dict(first)
    for key, value in second.items():
        if key in joined:
            value = {**joined[key], **value}
        joined[key] = value
    return joined
