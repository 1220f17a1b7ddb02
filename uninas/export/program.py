"""torch.export: the network as a graph of PyTorch's own operators, and its file, .pt2."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from .culprit import find_culprit
from .errors import DynamicError, FormatError
from .job import Job
from .quiet import quiet
from .verify import Check, compare

_SETTING = "prefer_deferred_runtime_asserts_over_guards"
_DEFERRED: dict[str, Any] = {_SETTING: True} if _SETTING in inspect.signature(torch.export.export).parameters else {}
"""What cannot be proven of free sizes is asserted when the program runs: it is about how memory is laid out, and holds
for all of them. Older versions of PyTorch, which lack the setting, refuse such networks."""
FACTS = "uninas.json"
"""The extra file with `Job.facts` inside a .pt2 archive."""


def trace(job: Job) -> ExportedProgram:
    """The network as torch.export sees it.

    Raises:
        DynamicError: a dimension that was to be free is not; FormatError: it cannot be traced at all.
    """
    shapes = (job.free() or None,)
    try:
        return export_module(job.network, (job.sample(),), shapes)
    except Exception as problem:  # torch.export raises of many types, on whatever the network does
        where, told = find_culprit(job, export_module), first_line(problem)
        if shapes == (None,) or not _can_be_fixed(job):
            raise FormatError(f"torch.export cannot take {where}: {told}") from problem
        free = ",".join(sorted(job.dynamic))
        raise DynamicError(
            f"--dynamic {free}: {where} fixes a dimension that is to be free ({told}); put another operation in its "
            "place, or leave the dimension out of --dynamic and export once for each input that is needed"
        ) from problem


def export_module(module: nn.Module, args: tuple[Any, ...], shapes: Any) -> ExportedProgram:
    """torch.export of a module with free dimensions."""
    # Without gradients, but not in inference mode, whose tensors exporters cannot handle.
    with quiet(), torch.no_grad():
        return torch.export.export(module, args, dynamic_shapes=shapes, strict=False, **_DEFERRED)


def _can_be_fixed(job: Job) -> bool:
    """Whether the network can be exported when nothing is free."""
    try:
        export_module(job.network, (job.sample(),), None)
    except Exception:  # see trace
        return False
    return True


def write(program: ExportedProgram, job: Job, twin: nn.Module | None, path: Path) -> list[Check]:
    """Writes a .pt2 archive, reads it back and compares.

    Raises:
        DifferenceError: what was read computes something else.
    """
    with quiet():
        torch.export.save(program, path, extra_files={FACTS: json.dumps(job.facts(), indent=1)})
        module = torch.export.load(path).module()
        if twin is not None:
            module.load_state_dict(twin.state_dict())
            compare(module, twin, job.shapes, "torch.export with other weights")
            module.load_state_dict(job.network.state_dict())
        return compare(module, job.network, job.shapes, "torch.export")


def first_line(problem: Exception) -> str:
    """What an exception says, in a line."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
