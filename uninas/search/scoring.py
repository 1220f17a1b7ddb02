"""Scores of genotypes by training-free proxies, each a pure function of (run seed, genotype, phase, repeat).

All candidates see the same noise images in the same repeat, and what they have in common has the same initial weights
(see `uninas.compiler.init`): the difference of two scores of a repeat then comes from what differs, and varies several
times less than the scores themselves. Neither the order of scoring nor the process that scores changes a value.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from .. import proxies
from ..compiler import build
from ..genotype import Genotype
from .measurement import Measurement, State


class Scorer(Protocol):
    """What executors run: plain settings (a frozen dataclass of JSON values) and one function."""

    def measure(self, genotype: Genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        """One measurement for each metric, in order. Never raises for what a network does; the reason is in the state.

        Args:
            phase: what the scores are for, as part of their seeds: "search"; "leaders", the competition at the end;
                "fresh", the last word, on seeds that no decision has seen.
        """
        ...


@dataclass(frozen=True)
class ProxyScorer:
    """Scores by proxies at initialisation.

    Args:
        size: height and width of the noise images.
        batch: number of noise images.
        classes: of the scored networks.
        seed: of the run.
        device: what computes, as torch calls it. Weights and images are drawn on the CPU, and so the same everywhere.
    """

    size: tuple[int, int]
    batch: int
    classes: int
    seed: int
    device: str = "cpu"

    def measure(self, genotype: Genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        """Builds the network once, with the repeat's weights, and scores it by every proxy on the repeat's images."""
        seed = self.seed_of(phase, repeat)
        start = time.perf_counter()
        network = build(genotype, self.classes, seed=seed).to(self.device)
        images = self.images(phase, repeat).to(self.device)
        building = (time.perf_counter() - start) / len(metrics)
        found = proxies.score(network, metrics, images, seed)
        return [_measurement(name, found[name], seed, building) for name in metrics]

    def seed_of(self, phase: str, repeat: int) -> int:
        """Seed of the initial weights: what two networks share has the same weights in the same repeat."""
        return derived_seed(self.seed, phase, repeat, "weights")

    def images(self, phase: str, repeat: int) -> Tensor:
        """B x 3 x H x W of standard normal noise, the same for all candidates."""
        return _noise(self.batch, tuple(self.size), derived_seed(self.seed, phase, repeat, "images"))


def _measurement(metric: str, score: proxies.Score, seed: int, building: float) -> Measurement:
    state = State.MEASURED if score.failure is None else State.FAILED
    return Measurement(metric, score.value, state, score.failure, seed, score.seconds + building)


@lru_cache(maxsize=32)
def _noise(batch: int, size: tuple[int, int], seed: int) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def derived_seed(*parts: object) -> int:
    """A seed below 2**63 that depends on all parts and on nothing else."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
