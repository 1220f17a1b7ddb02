"""One network on one device: `profile_network` builds it, runs it, and gives a `Profile`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..compiler import Network
from ..device import synchronizer
from ..genotype import Genotype, cost
from ..ops import Size
from ..search.latency import network_and_images
from ..search.threads import torch_threads
from ..timing import Latency, time_runs
from ..units import format_shape
from .clocks import BETWEEN, Label, time_parts
from .compiled import Compiled, measure_compiled
from .errors import named_failures
from .memory import Memory, measure_memory
from .parts import KINDS, Part, parts, stages_of

SECONDS = 2.0
"""Of timed passes, at most, where nobody says how many."""
PART_RUNS = 10
"""Passes with clocks around operations."""


class Sum(NamedTuple):
    """What several operations are and take together."""

    calls: int
    """Operations of the genotype; the compiler may run several as one."""
    params: int
    macs: int
    """Of one image."""
    seconds: float | None
    """None where no operation was timed."""


@dataclass(frozen=True)
class Profile:
    """What a network costs on a device.

    Attributes:
        size: height and width of the images in pixels.
        threads: of torch on the CPU.
        latency: of a pass of the whole batch.
        cells: by stage and kind; None where only the whole was measured.
        compiled: by torch.compile, where that was asked for.
    """

    genotype: Genotype
    device: str
    threads: int
    batch: int
    size: Size
    classes: int
    params: int
    macs: int
    """Of one image."""
    latency: Latency
    memory: Memory
    cells: dict[Label, Sum] | None = None
    compiled: Compiled | None = None

    @property
    def images_per_second(self) -> float:
        """Throughput at the median latency."""
        return self.batch / self.latency.median

    @property
    def stages(self) -> dict[str, Sum]:
        """By stage, in order."""
        return self._by(0, stages_of(self.genotype))

    @property
    def kinds(self) -> dict[str, Sum]:
        """By kind of operation (see `parts.KINDS`), in that order."""
        return self._by(1, tuple(KINDS))

    def _by(self, axis: int, names: tuple[str, ...]) -> dict[str, Sum]:
        found: dict[str, list[Sum]] = defaultdict(list)
        for label, cell in (self.cells or {}).items():
            found[label[axis]].append(cell)
        return {name: total(found[name]) for name in names if name in found}

    def to_dict(self) -> dict[str, Any]:
        """JSON data; times in seconds, memory in bytes."""
        found = {
            "key": self.genotype.key,
            "name": self.genotype.name,
            "device": self.device,
            "threads": self.threads,
            "batch": self.batch,
            "input_size": list(self.size),
            "classes": self.classes,
            "params": self.params,
            "macs": self.macs,
            "latency": self.latency._asdict(),
            "images_per_second": self.images_per_second,
            "memory": {**self.memory._asdict(), "peak": self.memory.peak},
            "compiled": self.compiled._asdict() if self.compiled else None,
        }
        if self.cells is None:
            return {**found, "stages": None, "kinds": None, "cells": None}
        whole = total(list(self.cells.values())).seconds
        rows = {"stages": ("stage", self.stages), "kinds": ("kind", self.kinds)}
        for key, (heading, sums) in rows.items():
            found[key] = [{heading: name, **_with_share(each, whole)} for name, each in sums.items()]
        found["cells"] = [
            {"stage": stage, "kind": kind, **_with_share(cell, whole)} for (stage, kind), cell in self.cells.items()
        ]
        return found


def total(sums: list[Sum]) -> Sum:
    """All of them together."""
    seconds = [each.seconds for each in sums if each.seconds is not None]
    return Sum(
        sum(each.calls for each in sums),
        sum(each.params for each in sums),
        sum(each.macs for each in sums),
        sum(seconds) if seconds else None,
    )


def _with_share(each: Sum, whole: float | None) -> dict[str, Any]:
    """With the share of the time of all operations, which are timed in passes of their own."""
    share = each.seconds / whole if each.seconds is not None and whole else None
    return {**each._asdict(), "share": share}


def profile_network(
    genotype: Genotype,
    *,
    batch: int = 1,
    size: Size = (224, 224),
    classes: int = 1000,
    device: str = "cpu",
    threads: int = 2,
    runs: int | None = None,
    by_part: bool = True,
    compiled: bool = False,
) -> Profile:
    """Builds a network with initial weights, which do not matter, and measures it in evaluation mode.

    Args:
        size: height and width of the images in pixels.
        classes: of the head; 0 leaves pooled features.
        threads: of torch on the CPU; the number there was is restored.
        runs: timed passes; None: until the median is known to 2 %, for 2 s at most, and at least five.
        by_part: also time the operations, in passes of their own.
        compiled: time what torch.compile makes of the network beside it, and no operations: they are no calls any more.

    Raises:
        GenotypeError: the images are too small for the network.
        ProfilingError: the network cannot run on this device, or not be compiled.
    """
    costs = cost(genotype, size, classes)
    where = f"{format_shape(batch, size)} on {device}"
    cells = beside = None
    with torch_threads(threads), named_failures(where):
        network, images = network_and_images(genotype, batch, size, classes, device)
        memory = measure_memory(network, images)
        with torch.inference_mode():
            latency = time_runs(lambda: network(images), synchronizer(device), SECONDS, runs)
            if compiled:
                beside = measure_compiled(network, images, device, SECONDS, runs)
            elif by_part:
                cells = _cells(network, images, list(parts(genotype, size, classes)), device, runs or PART_RUNS)
    return Profile(
        genotype, device, threads, batch, size, classes, costs.params, costs.macs, latency, memory, cells, beside
    )


def _cells(network: Network, images: Tensor, found: list[Part], device: str, runs: int) -> dict[Label, Sum]:
    """Costs and times by stage and kind, in the order in which a pass comes to them."""
    seconds = time_parts(network, lambda: network(images), found, device, runs)
    cells: dict[Label, Sum] = {}
    for part in found:
        label = (part.stage, part.kind)
        before = cells.get(label, Sum(0, 0, 0, seconds.get(label)))
        cells[label] = before._replace(
            calls=before.calls + 1, params=before.params + part.params, macs=before.macs + part.macs
        )
    for label, each in seconds.items():
        cells.setdefault(label, Sum(0, 0, 0, each))
    order = stages_of(network.genotype)
    return dict(sorted(cells.items(), key=lambda item: (order.index(item[0][0]), item[0][1] == BETWEEN)))
