"""How long a network takes for a forward pass, on the device that measures it.

As a metric of a search: `latency@1x224` is the median of seconds for a batch of one image of 224 x 224, and
`latency_p90@1x224` what nine of ten passes stay below.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..compiler import Network, build
from ..device import synchronizer
from ..errors import ProxyError, UninasError
from ..genotype import Genotype
from ..ops import Size
from ..timing import Latency, time_runs
from ..units import format_shape, parse_shape
from .measurement import Measurement, State
from .scoring import ProxyScorer
from .threads import torch_threads


class LatencyMetric(NamedTuple):
    """A latency as one of the metrics of a task."""

    quantity: str
    """A field of `Latency`: "median" or "p90"."""
    batch: int
    size: Size
    """Height and width in pixels."""

    @property
    def name(self) -> str:
        """`latency@1x224`."""
        return f"{_PREFIXES[self.quantity]}@{format_shape(self.batch, self.size)}"


_PREFIXES = {"median": "latency", "p90": "latency_p90"}


def parse_metric(name: str) -> LatencyMetric | None:
    """`latency@8x800x1280` -> median, 8, (800, 1280); None for the name of something else.

    Raises:
        ProxyError: what is behind the @ is no input.
    """
    prefix, at, shape = name.partition("@")
    quantity = next((quantity for quantity, known in _PREFIXES.items() if known == prefix), None)
    if quantity is None:
        return None
    try:
        batch, size = parse_shape(shape)
    except UninasError:
        what = f"{shape!r} is not an input" if at else "it lacks an input"
        raise ProxyError(f"{name}: {what}; write batch x side such as {prefix}@1x224") from None
    return LatencyMetric(quantity, batch, size)


def measure_latency(
    genotype: Genotype,
    batch: int = 1,
    size: int | Size = 224,
    classes: int = 1000,
    device: str = "cpu",
    *,
    threads: int = 1,
    seconds: float = 2.0,
    seed: int = 0,
) -> Latency:
    """Wall time of forward passes in evaluation mode, from images on the device to logits, after some to warm up.

    Args:
        batch: number of images.
        size: their height and width in pixels.
        threads: of torch on the CPU; the number there was is restored.
        seconds: of timed passes at most, where the median is not stable before, and at least five passes are made.
        seed: of weights and images, which do not matter for the time.
    """
    network, images = network_and_images(genotype, batch, size, classes, device, seed)
    with torch_threads(threads), torch.inference_mode():
        return time_runs(lambda: network(images), synchronizer(device), seconds)


def network_and_images(
    genotype: Genotype, batch: int, size: int | Size, classes: int, device: str, seed: int = 0
) -> tuple[Network, Tensor]:
    """What is timed: a network in evaluation mode, and B x 3 x H x W of standard normal noise, on the device."""
    height, width = (size, size) if isinstance(size, int) else size
    network = build(genotype, classes, seed=seed).eval().to(device)
    images = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return network, images.to(device)


@dataclass(frozen=True)
class MeasuringScorer(ProxyScorer):
    """A `ProxyScorer` that also measures latencies, with one thread on the CPU; other metrics are as without it.

    A task with a latency is meant to be exclusive. Its measurements have the seed of the weights, as all have.

    Args:
        latency_classes: of the network that is timed.
        latency_seconds: of timed passes, at most.
    """

    latency_classes: int = 1000
    latency_seconds: float = 2.0

    def measure(self, genotype: Genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        """See `Scorer`. Raises ProxyError for a latency without a proper input."""
        latencies = {name: latency for name in metrics if (latency := parse_metric(name)) is not None}
        scored = [name for name in metrics if name not in latencies]
        found = {m.metric: m for m in (super().measure(genotype, phase, repeat, scored) if scored else [])}
        seed = self.seed_of(phase, repeat)
        for batch, size in dict.fromkeys((latency.batch, latency.size) for latency in latencies.values()):
            wanted = {name: latency for name, latency in latencies.items() if latency[1:] == (batch, size)}
            start = time.perf_counter()
            times = measure_latency(
                genotype,
                batch,
                size,
                self.latency_classes,
                self.device,
                seconds=self.latency_seconds,
                seed=seed,
            )
            share = (time.perf_counter() - start) / len(wanted)
            for name, latency in wanted.items():
                found[name] = Measurement(name, getattr(times, latency.quantity), State.MEASURED, None, seed, share)
        return [found[name] for name in metrics]
