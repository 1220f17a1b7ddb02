"""AOTInductor: the network compiled ahead of time for the processor at hand, in a .pt2 package."""

from __future__ import annotations

import json
import os
import platform
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..search.study.machine import machine
from .errors import ExportError, FormatError
from .job import Job
from .program import first_line, trace
from .quiet import quiet
from .verify import Check, Run, compare

COMPILERS = ("g++", "clang++")


def write(program: ExportedProgram, job: Job, twin: nn.Module | None, path: Path) -> tuple[list[Check], list[str]]:
    """Compiles, loads and compares; the file's metadata and a .json beside it say which machine it fits.

    Raises:
        ExportError: there is no C++ compiler; FormatError: the network cannot be compiled; DifferenceError: what was
            compiled computes something else.
    """
    check_compiler()
    fits = this_machine()
    label = {**job.facts(), **fits}
    if twin is not None:  # compiled in the same way: small weights become constants, so they cannot be exchanged
        other = path.with_name(f"other_{path.name}")
        compiled = _compiled(trace(replace(job, network=twin)), label, other)
        compare(_runner(compiled), twin, job.shapes, "AOTInductor with other weights")
        other.unlink()
    checks = compare(_runner(_compiled(program, label, path)), job.network, job.shapes, "AOTInductor")
    beside(path).write_text(json.dumps(label, indent=1) + "\n", "utf-8")
    told = f"compiled for {fits['processor']} ({fits['instructions']}) and torch {fits['torch']}"
    return checks, [f"{told}; elsewhere it may not run"]


def _compiled(program: ExportedProgram, label: dict[str, str], path: Path) -> Any:
    """The package in `path`, made and loaded."""
    options = {"aot_inductor.metadata": label}
    try:
        with quiet(), torch.no_grad():
            torch._inductor.aoti_compile_and_package(program, package_path=str(path), inductor_configs=options)
            return torch._inductor.aoti_load_package(str(path))
    except Exception as problem:  # of any type: the compiler's own, or what C++ made of its output
        told = f"AOTInductor cannot compile this network ({first_line(problem)}): use torch-export"
        raise FormatError(told) from problem


def beside(path: Path) -> Path:
    """The file that says what a package is for."""
    return path.with_suffix(".json")


def find_compiler() -> str | None:
    """The C++ compiler that torch would call, or None."""
    asked = os.environ.get("CXX")
    return next((name for name in ([asked] if asked else COMPILERS) if shutil.which(name)), None)


def check_compiler() -> None:
    """Raises ExportError where there is no C++ compiler."""
    if find_compiler() is None:
        asked = os.environ.get("CXX")
        found = f"$CXX ({asked}) is none" if asked else f"none of {', '.join(COMPILERS)} is on the path"
        raise ExportError(f"--to aoti needs a C++ compiler: {found}; install one (apt install g++) or set CXX")


def this_machine() -> dict[str, str]:
    """What a compiled package depends on."""
    found = machine()
    return {
        "processor": str(found["processor"]),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
    }


def _runner(compiled: Any) -> Run:
    def run(images: Tensor) -> Tensor:
        with torch.no_grad():
            return compiled(images)

    return run
