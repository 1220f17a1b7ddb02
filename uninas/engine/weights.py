"""Loading a backbone's weights from a checkpoint, with a report of what was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from ..compiler.weights import read_file, tensors_of
from ..errors import WeightsError
from .errors import EngineError

PREFIXES = ("backbone.", "", "module.backbone.", "module.")
"""Where a checkpoint may keep a backbone: in a model of ours or OpenMMLab's, on its own, wrapped by DDP."""

NEW = "out_norms."
"""What a detector's or segmentor's backbone has beyond a classifier's, whose checkpoint lacks it."""


@dataclass(frozen=True)
class LoadReport:
    """What `load_backbone` did; every name is one of the backbone's own."""

    path: str
    prefix: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    """In the backbone and not in the checkpoint: left as initialised."""
    mismatched: tuple[str, ...]
    """In both, with different shapes: left as initialised."""
    ignored: int
    """Tensors of the checkpoint that the backbone has no place for, such as heads."""

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.missing) + len(self.mismatched)
        kept = f", {total - len(self.loaded)} left as initialised" if total > len(self.loaded) else ""
        return f"{self.path}: {len(self.loaded)} of {total} tensors loaded{kept}, {self.ignored} others ignored"


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint of ours, of OpenMMLab's or a bare state dict, as {"state_dict": ..., "meta": ...}.

    Args:
        path: a file, or a URL that torch's hub downloads once.

    Raises:
        EngineError: the file is missing, broken, or holds something other than weights.
    """
    file = local_file(path)
    try:
        content = read_file(file)
        return {"state_dict": tensors_of(content, file), "meta": content.get("meta") or {}}
    except WeightsError as problem:
        raise EngineError(str(problem)) from problem.__cause__


def local_file(path: str | Path) -> Path:
    """A file as it is, or the file of a URL, downloaded to where torch keeps checkpoints.

    Raises:
        EngineError: it is not there, or cannot be downloaded.
    """
    file = Path(path)
    if "://" in str(path):
        file = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(str(path)).path).name)
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(str(path), str(file), progress=False)
            except (OSError, ValueError) as problem:
                raise EngineError(f"{path}: cannot be downloaded: {problem}") from None
    if not file.is_file():
        raise EngineError(f"{file}: there is no such checkpoint")
    return file


def load_backbone(module: nn.Module, path: str | Path, prefix: str | None = None, strict: bool = True) -> LoadReport:
    """Load a backbone's weights in place.

    Args:
        prefix: what the backbone's names start with in the checkpoint; None finds out.
        strict: refuse a checkpoint that lacks a weight of the backbone or has it in another shape.

    Raises:
        EngineError: nothing matches, or not everything does and `strict` is set.
    """
    state = read_checkpoint(path)["state_dict"]
    own = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith("num_batches_tracked")}
    if prefix is None:
        prefix = max(PREFIXES, key=lambda p: sum(p + name in state for name in own))
    loaded = [name for name in own if prefix + name in state and state[prefix + name].shape == own[name].shape]
    mismatched = [name for name in own if prefix + name in state and name not in set(loaded)]
    missing = [name for name in own if prefix + name not in state]
    counters = {prefix + name for name in module.state_dict()} - {prefix + name for name in own}
    ignored = len(state) - len(loaded) - len(mismatched) - len(counters & set(state))
    report = LoadReport(str(path), prefix, tuple(loaded), tuple(missing), tuple(mismatched), ignored)
    if not loaded:
        raise EngineError(_nothing(report, own, state))
    if strict and (mismatched or any(not name.startswith(NEW) for name in missing)):
        raise EngineError(_incomplete(report, own, state))
    taken = [prefix + name for name in loaded] + sorted(counters & set(state))
    module.load_state_dict({name.removeprefix(prefix): state[name] for name in taken}, strict=False)
    return report


def _nothing(report: LoadReport, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    fitting = [p for p in PREFIXES if any(p + name in state for name in own)]
    if fitting and not report.mismatched:
        remedy = f"the backbone is there under prefix={fitting[0]!r}"
    else:
        remedy = "it seems to be the checkpoint of another genotype"
    return (
        f"{report.path}: no weight of the backbone was found with prefix {report.prefix!r}: {remedy}. "
        f"The checkpoint has {', '.join(list(state)[:3])}, ...; the backbone wants {', '.join(list(own)[:3])}, ..."
    )


def _incomplete(report: LoadReport, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    faults = []
    if report.mismatched:
        name = report.mismatched[0]
        shapes = f"{tuple(state[report.prefix + name].shape)} there, {tuple(own[name].shape)} here"
        faults.append(f"{len(report.mismatched)} tensors differ in shape, first {name} ({shapes})")
    if report.missing:
        faults.append(f"{len(report.missing)} are missing, first {report.missing[0]}")
    return (
        f"{report.path}: this is the checkpoint of another genotype: {'; '.join(faults)}. "
        "Train this genotype first, or set strict=False to load the part that fits"
    )
