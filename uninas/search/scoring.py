"""Scores of genotypes by a training-free proxy, each a pure function of (run seed, genotype, phase, repeat).

All candidates see the same noise images in the same repeat, and what they have in common has the same initial weights
(see `uninas.compiler.init`): the difference of two scores of a repeat then comes from what differs, and varies several
times less than the scores themselves. Neither the order of scoring nor the process that scores changes a value.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .. import proxies
from ..compiler import build
from ..genotype import Genotype

Phase = str
"""What scores are for, as part of their seeds: "search", or "search G" for decisions of generation G; "leaders", the
competition at the end; "fresh", the last word, on seeds that no decision has seen."""


@dataclass(frozen=True)
class Score:
    """One score, or why there is none."""

    seed: int
    """Of the initial weights."""
    value: float | None
    failure: str | None
    """`kind: what happened`, or None."""
    seconds: float


@dataclass(frozen=True)
class Scorer:
    """How candidates are scored.

    Args:
        proxy: a name of `uninas.proxies.available()`.
        size: height and width of the noise images.
        batch: number of noise images.
        classes: of the scored networks.
        seed: of the run.
        device: what computes, as torch calls it. Weights and images are drawn on the CPU, and so the same everywhere.
    """

    proxy: str
    size: tuple[int, int]
    batch: int
    classes: int
    seed: int
    device: str = "cpu"

    def score(self, genotype: Genotype, phase: Phase, repeat: int) -> Score:
        """Builds the network with the repeat's weights and scores it on the repeat's images."""
        seed = self.seed_of(phase, repeat)
        start = time.perf_counter()
        network = build(genotype, self.classes, seed=seed).to(self.device)
        images = self.images(phase, repeat).to(self.device)
        found = proxies.score(network, [self.proxy], images, seed)[self.proxy]
        return Score(seed, found.value, found.failure, time.perf_counter() - start)

    def seed_of(self, phase: Phase, repeat: int) -> int:
        """Seed of the initial weights: what two networks share has the same weights in the same repeat."""
        return derived_seed(self.seed, phase, repeat, "weights")

    def images(self, phase: Phase, repeat: int) -> Tensor:
        """B x 3 x H x W of standard normal noise, the same for all candidates."""
        return _noise(self.batch, self.size, derived_seed(self.seed, phase, repeat, "images"))


@lru_cache(maxsize=32)
def _noise(batch: int, size: tuple[int, int], seed: int) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def derived_seed(*parts: object) -> int:
    """A seed below 2**63 that depends on all parts and on nothing else."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
