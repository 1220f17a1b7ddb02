"""How long each kind of operation takes in each stage: clocks in hooks around the modules that a pass calls.

Blocks, stem and head have a clock too; what they take beside their operations is "between": sums with shortcuts, Python
and the clocks themselves. Those take about 2 microseconds a call on a CPU, nearly all of it outside of the operation;
nothing is scaled to the time of a pass without clocks. On CUDA the clocks are events of the stream: nothing waits for
them, and gaps in which the GPU waits for Python are between operations.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import fx, nn

from ..compiler import Network
from ..device import synchronizer
from ..ops import Chunk, Concat
from ..ops.modules.attention import FusedAttention
from .parts import Part, op_kind, stages_of

BETWEEN = "between"
Label = tuple[str, str]
"""Stage and kind."""


class Call(NamedTuple):
    """A module that a pass calls."""

    label: Label
    module: nn.Module


def calls(network: Network, parts: Iterable[Part]) -> Iterator[Call]:
    """Every module that stands for operations.

    In a graph these are what the compiler's passes made of it: several operations may have become one call, which is of
    the kind of its members.
    """
    known = {part.path: part for part in parts}
    for part in known.values():
        if ".graph." not in part.path:
            yield Call((part.stage, part.kind), network.get_submodule(part.path))
    names = stages_of(network.genotype)
    for name, graph in network.named_modules():
        if isinstance(graph, fx.GraphModule):
            stage = names[1 + int(name.split(".")[1])]
            for node in graph.graph.nodes:
                if node.op == "call_module":
                    yield Call((stage, _kind(node, name, known)), graph.get_submodule(node.target))


def _kind(node: fx.Node, graph: str, known: dict[str, Part]) -> str:
    """Of a call: that of the operation, or of the members that it runs as one, or of what a pass put in."""
    members = [arg.target for arg in node.args if isinstance(arg, fx.Node) and arg.op == "get_attr"]
    for target in (node.target, *members):
        if (part := known.get(f"{graph}.{target}")) is not None:
            return part.kind
    op = node.meta.get("op")
    if isinstance(op, (Concat, Chunk)):
        return op_kind(op, ())
    module: Any = node.graph.owning_module
    return "attention" if isinstance(module.get_submodule(node.target), FusedAttention) else "other"


def time_parts(
    network: Network, forward: Callable[[], object], parts: Iterable[Part], device: str, runs: int
) -> dict[Label, float]:
    """Seconds of each kind in each stage, each a median over `runs` passes; the kind BETWEEN is there for every stage.

    Args:
        forward: one pass of `network`.
        runs: timed passes, after one to warm up.
    """
    whole = [Call((stage, ""), module) for stage, module in _containers(network)]
    clock = _clock_of(device)
    found: dict[Label, list[float]] = {}
    with _clocked([*whole, *calls(network, parts)], clock) as marks:
        for number in range(runs + 1):
            marks.clear()
            forward()
            clock.wait()
            if number:
                for label, seconds in _summed(marks, clock).items():
                    found.setdefault(label, []).append(seconds)
    return {label: statistics.median(times) for label, times in found.items()}


def _containers(network: Network) -> Iterator[tuple[str, nn.Module]]:
    """(stage, module) of what is called in sequence: stem, blocks, head."""
    stem, *stages, head = stages_of(network.genotype)
    yield stem, network.stem
    for stage, blocks in zip(stages, network.stages):
        yield from ((stage, block) for block in blocks)  # type: ignore[attr-defined]
    if network.head is not None:
        yield head, network.head


def _summed(marks: list[tuple[Label, Any, Any]], clock: _Clock) -> dict[Label, float]:
    """Seconds by label of one pass; what stages take beside their operations is BETWEEN."""
    sums: dict[Label, float] = {}
    for (stage, kind), start, end in marks:
        seconds = clock.seconds(start, end)
        if kind:
            sums[stage, kind] = sums.get((stage, kind), 0.0) + seconds
        between = seconds if not kind else -seconds
        sums[stage, BETWEEN] = sums.get((stage, BETWEEN), 0.0) + between
    return sums


@contextmanager
def _clocked(timed: Iterable[Call], clock: _Clock) -> Iterator[list[tuple[Label, Any, Any]]]:
    """Inside, each call adds its label, its start and its end to the list."""
    marks: list[tuple[Label, Any, Any]] = []
    handles = []
    for label, module in timed:
        started: list[Any] = []

        def before(module: nn.Module, args: Any, started: list[Any] = started) -> None:
            started.append(clock.now())

        def after(module: nn.Module, args: Any, out: Any, label: Label = label, started: list[Any] = started) -> None:
            marks.append((label, started.pop(), clock.now()))

        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield marks
    finally:
        for handle in handles:
            handle.remove()


class _Clock(NamedTuple):
    """Marks of time on a device."""

    now: Callable[[], Any]
    seconds: Callable[[Any, Any], float]
    wait: Callable[[], None]
    """Until the device has come to the last mark."""


def _clock_of(device: str) -> _Clock:
    wait = synchronizer(device)
    if torch.device(device).type == "cuda":
        return _Clock(_cuda_event, lambda start, end: start.elapsed_time(end) / 1000, wait)

    def now() -> float:
        wait()
        return time.perf_counter()

    return _Clock(now, lambda start, end: end - start, wait)


def _cuda_event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
