"""Writes the file, imports it, gives it the network's weights and compares."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ...compiler.weights import save_weights
from ...errors import nearest
from ..errors import DifferenceError, ExportError
from ..job import Job, Shape
from ..verify import Check, compare
from .text import FRAMEWORKS, class_name, source_text


def write(job: Job, twin: nn.Module | None, path: Path, framework: str | None) -> tuple[list[Check], list[Path]]:
    """Writes the source, and with true weights also these beside it; gives the comparisons and the files.

    Raises:
        FormatError: an operation has no words; DifferenceError: the file computes something else; ExportError: the
            framework is unknown or not installed.
    """
    if framework and framework not in FRAMEWORKS:
        raise ExportError(f"--framework: there is no {framework!r}; {nearest(framework, FRAMEWORKS)}")
    if framework and importlib.util.find_spec(framework) is None:
        raise ExportError(f"--framework {framework}: the file is compared in {framework}, which is not installed")
    if framework and not path.stem.isidentifier():
        raise ExportError(f"--out {path.name}: a config imports the file, so its name has to be one that Python takes")
    beside = path.with_suffix(_suffix(framework)) if job.weights else None
    name = beside.name if beside else None
    path.write_text(source_text(job.genotype, job.num_classes, job.size, path.stem, name, framework), "utf-8")
    with _imported(path) as module:
        made = getattr(module, class_name(job.genotype, framework))
        written = (made(job.num_classes) if job.num_classes and not framework else made()).eval()
        if framework:
            _unregister(framework, made)
        if twin is not None:
            _compare(written, twin, job, framework, "the source with other weights")
        checks = _compare(written, job.network, job, framework, "the source")
    files = [path]
    if beside is not None:
        state = job.network.state_dict()
        save_weights({key: state[key] for key in written.state_dict() if key in state}, beside)
        files.append(beside)
    return checks, files


def _suffix(framework: str | None) -> str:
    """mmengine reads no safetensors."""
    return ".pth" if framework or importlib.util.find_spec("safetensors") is None else ".safetensors"


def _compare(written: nn.Module, network: nn.Module, job: Job, framework: str | None, what: str) -> list[Check]:
    state, own = network.state_dict(), written.state_dict()
    missing = sorted(set(own) ^ {key for key in state if not (framework and key.startswith("head."))})
    if missing:
        raise DifferenceError(f"{what}: {missing[0]} is in the network or in the source only; please report this")
    written.load_state_dict({key: state[key] for key in own})
    if framework:
        return compare(_all_maps(written), _Maps(network), _shapes(job), what)
    return compare(_without_gradients(written), network, _shapes(job), what)


def _shapes(job: Job) -> list[Shape]:
    """Sizes are always free here: the second is no multiple of the stride."""
    height, width = job.size
    sizes = job.size, (height + job.genotype.strides[-1] // 2 + 1, width)
    return [(batch, *size) for size in sizes for batch in (1, 2, 5)]


def _without_gradients(module: Any) -> Any:
    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            return module(images)

    return run


def _all_maps(features: Any) -> Any:
    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([part.flatten(1) for part in features(images)], dim=1)

    return run


class _Maps(nn.Module):
    """All feature maps of a network, side by side."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        found: Any = self.network.forward_intermediates(x)  # type: ignore[operator]
        return torch.cat([part.flatten(1) for part in found], dim=1)


@contextmanager
def _imported(path: Path) -> Iterator[ModuleType]:
    """A file as a module for as long as the block lasts."""
    name = f"_uninas_export_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ExportError(f"--out {path}: is not a file that Python can import")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.dont_write_bytecode = writes
        del sys.modules[name]


def _unregister(framework: str, made: type) -> None:
    """The comparison leaves the registry as it was."""
    registry: Any = importlib.import_module(f"{framework}.registry").MODELS
    registry._module_dict.pop(made.__name__, None)
