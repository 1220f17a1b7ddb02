"""Which operation an exporter stumbles over: what the network calls is exported call by call, until one fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .job import Job
from .quiet import quiet

Shapes = tuple[dict[int, Any] | None, ...]
Attempt = Callable[[nn.Module, tuple[Tensor | None, ...], Shapes], object]
"""Exports a module for inputs and their dynamic shapes; raises where it cannot."""
_IN_GRAPH = re.compile(r"stages\.(\d+)\.(\d+)\.subblocks\.(\d+)\.graph\.(\w+)")


def find_culprit(job: Job, attempt: Attempt) -> str:
    """The operation that fails, in words: `max_pool (stages[1].blocks[0].subblocks[0].graph.max_pool)`."""
    tried: set[str] = set()
    for name, module, args in _calls(job):
        kind = f"{module!r} {[None if arg is None else tuple(arg.shape) for arg in args]}"
        if kind in tried:
            continue
        tried.add(kind)
        try:
            with quiet(), torch.no_grad():
                attempt(module, args, tuple(_free(arg, job) for arg in args))
        except Exception:  # whatever the exporter raises: this is the call that it cannot take
            return _words(name, module, job)
    return "the network as a whole (each operation alone can be exported)"


def _calls(job: Job) -> list[tuple[str, nn.Module, tuple[Tensor | None, ...]]]:
    """(name, module, inputs) of every innermost module that takes tensors alone, in order."""
    found: list[tuple[str, nn.Module, tuple[Tensor | None, ...]]] = []

    def note(name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        if all(arg is None or isinstance(arg, Tensor) for arg in args):
            found.append((name, module, args))

    innermost = [(name, module) for name, module in job.network.named_modules() if not list(module.children())]
    hooks = [module.register_forward_pre_hook(partial(note, name)) for name, module in innermost]  # type: ignore[arg-type]
    try:
        with torch.no_grad():
            job.network(job.sample())
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _free(arg: Tensor | None, job: Job) -> dict[int, Any] | None:
    """The dimensions of an input that follow the image's free ones."""
    if arg is None:
        return None
    candidates = ([0] if "batch" in job.dynamic else []) + ([2, 3] if "size" in job.dynamic else [])
    return {at: torch.export.Dim.DYNAMIC for at in candidates if at < arg.dim() and arg.shape[at] > 1} or None


def _words(name: str, module: nn.Module, job: Job) -> str:
    match = _IN_GRAPH.fullmatch(name)
    if match is None:
        return f"{type(module).__name__} ({name})"
    i, j, k = map(int, match.groups()[:3])
    ops = job.genotype.stages[i].blocks[j].subblocks[k].graph.ops
    op = ops[match[4]].name if match[4] in ops else type(module).__name__
    return f"{op} (stages[{i}].blocks[{j}].subblocks[{k}].graph.{match[4]})"
