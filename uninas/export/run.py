"""One network, one file: `export_network` prepares, writes under a temporary name, compares, and then renames."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from ..errors import nearest
from ..genotype import Genotype
from ..ops import Size
from .errors import ExportError
from .job import DIMENSIONS, Job, prepare
from .verify import Check, trained_twin

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "aoti": ".pt2", "source": ".py"}
"""What can be written, and the suffix that its file has."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    checks: tuple[Check, ...]
    """Comparisons of the file with the network."""
    notes: tuple[str, ...] = ()
    """What a user should know."""
    seconds: float = 0.0
    job: Job | None = field(default=None, repr=False)

    @property
    def difference(self) -> float:
        """The largest of all comparisons."""
        return max(check.difference for check in self.checks)


def export_network(
    genotype: Genotype,
    to: str,
    out: str | Path,
    *,
    input_size: Size = (224, 224),
    num_classes: int | None = None,
    dynamic: Collection[str] = ("batch",),
    weights: str | Path | None = None,
    framework: str | None = None,
    force: bool = False,
) -> Exported:
    """Writes a network in a form that runs without uninas, once its outputs are those of the network.

    Args:
        to: a key of SUFFIXES.
        out: the file.
        input_size: height and width of the images.
        num_classes: of the head, 0 for pooled features; None: those of `weights`, or 1000.
        dynamic: dimensions of the input that stay free: "batch", "size".
        weights: a checkpoint; None: the initial weights. Then a copy of the network with other statistics and scales
            is exported and compared too, because initial ones hide mistakes.
        framework: for "source": "mmdet" or "mmseg", in whose registry the network is to be a backbone.
        force: replace the file.

    Raises:
        ExportError: it cannot be written in this form, or computes something else; WeightsError: `weights` do not fit.
    """
    started = time.perf_counter()
    path = Path(out)
    _check_target(to, path, force)
    if framework is not None and to != "source":
        raise ExportError("--framework is for --to source; `uninas export-backbone` writes configs")
    job = prepare(genotype, input_size, num_classes, dynamic, weights)
    twin = trained_twin(job.network, _noise(job)) if weights is None else None
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        checks, notes, made = _write(to, job, twin, staging / path.name, framework)
        files = []
        _check_free([path.parent / file.name for file in made], force)
        for file in made:
            file.replace(path.parent / file.name)
            files.append(path.parent / file.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Exported(tuple(files), tuple(checks), tuple(notes), time.perf_counter() - started, job)


def _write(
    to: str, job: Job, twin: nn.Module | None, path: Path, framework: str | None
) -> tuple[list[Check], list[str], list[Path]]:
    """Comparisons, notes, and the files written in the folder of `path`."""
    if to == "source":
        from .source.write import write

        checks, files = write(job, twin, path, framework)
        return checks, [], files
    from . import aoti, onnx, program

    if to == "aoti":
        aoti.check_compiler()  # before minutes of tracing
        return *aoti.write(program.trace(job), job, twin, path), [path, aoti.beside(path)]
    if to == "onnx":
        onnx.check_packages()
        return *onnx.write(program.trace(job), job, twin, path), [path]
    return program.write(program.trace(job), job, twin, path), [], [path]


def parse_dynamic(text: str) -> frozenset[str]:
    """`batch,size` -> the dimensions; `none` -> no dimension.

    Raises:
        ExportError: an unknown one.
    """
    names = [name.strip() for name in text.split(",") if name.strip() and name.strip() != "none"]
    for name in names:
        if name not in DIMENSIONS:
            raise ExportError(f"--dynamic: there is no dimension {name!r}; {nearest(name, (*DIMENSIONS, 'none'))}")
    return frozenset(names)


def _noise(job: Job) -> torch.Tensor:
    return torch.randn(2, 3, *job.size, generator=torch.Generator().manual_seed(2))


def _check_target(to: str, path: Path, force: bool) -> None:
    if to not in SUFFIXES:
        raise ExportError(f"--to: there is no {to!r}; {nearest(to, SUFFIXES)}")
    if path.suffix != SUFFIXES[to]:
        raise ExportError(f"--out {path}: {to} is written to a file that ends in {SUFFIXES[to]}")
    if not path.parent.is_dir():
        raise ExportError(f"--out {path}: there is no folder {path.parent}")
    _check_free([path], force)


def _check_free(paths: list[Path], force: bool) -> None:
    for path in paths:
        if path.is_dir() or (path.exists() and not force):
            raise ExportError(f"--out {path}: there is one already; --force replaces a file")
