"""What torch.compile makes of a network: how long that takes, how fast it is, and whether it computes the same."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..device import synchronizer
from ..export.aoti import find_compiler
from ..export.quiet import quiet
from ..timing import Latency, time_runs
from .errors import ProfilingError


class Compiled(NamedTuple):
    """Beside the network in eager mode."""

    median: float
    """Seconds."""
    p90: float
    runs: int
    compile_seconds: float
    """Of the first pass, which compiles. Inductor keeps what it has compiled on disk: the second time is shorter."""
    difference: float
    """The largest one between its outputs and those in eager mode, relative to the largest output."""


def measure_compiled(network: nn.Module, images: Tensor, device: str, seconds: float, runs: int | None) -> Compiled:
    """Compiles for the shape of `images`, and times by the same rule as in eager mode.

    Args:
        seconds, runs: as for `time_runs`.

    Raises:
        ProfilingError: there is no C++ compiler, or torch.compile fails.
    """
    if torch.device(device).type == "cpu" and find_compiler() is None:
        raise ProfilingError("--compile needs a C++ compiler for cpu: install one (apt install g++) or set CXX")
    expected = network(images)
    compiled = torch.compile(network, dynamic=False)
    started = time.perf_counter()
    try:
        with quiet():
            found = compiled(images)
    except Exception as problem:  # torch.compile raises of many types, and what its compilers say
        told = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise ProfilingError(f"torch.compile cannot compile this network ({told}): leave --compile out") from problem
    wait = synchronizer(device)
    wait()
    took = time.perf_counter() - started
    scale = max(1e-12, expected.abs().max().item())
    difference = (found - expected).abs().max().item() / scale
    latency: Latency = time_runs(lambda: compiled(images), wait, seconds, runs)
    return Compiled(*latency, took, difference)
