"""Scores that cost nothing: pseudo-random numbers that follow from the network's key, the metric, phase and repeat."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from uninas.genotype import Genotype
from uninas.search.measurement import Measurement, State


@dataclass(frozen=True)
class HashScorer:
    """A value for the network plus noise for the seed; some networks fail, by a share of keys. Latency: below 20 ms.

    Args:
        noise: standard deviation of the noise; that of the values is 1.
        failing: share of the networks that fail.
        seconds: how long a score takes, about.
        log: a file that gets a byte for every task that runs.
    """

    noise: float = 0.3
    failing: float = 0.0
    seconds: float = 0.0
    log: str | None = None

    def measure(self, genotype: Genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        rng = random.Random(f"{genotype.key}/{phase}/{repeat}")
        time.sleep(self.seconds * rng.random() * 2)
        if self.log:
            with open(self.log, "ab") as file:
                file.write(b".")
                file.flush()
                os.fsync(file.fileno())
        found = []
        for metric in metrics:
            network, seed = (
                random.Random(f"{genotype.key}/{metric}"),
                random.Random(f"{genotype.key}{metric}{phase}{repeat}"),
            )
            if metric.startswith("latency"):
                found.append(Measurement(metric, 0.02 * network.random(), State.MEASURED, None, repeat, 0.0))
            elif network.random() < self.failing:
                found.append(Measurement(metric, None, State.FAILED, "not finite: made up", repeat, 0.0))
            else:
                value = network.gauss(0, 1) + seed.gauss(0, self.noise)
                found.append(Measurement(metric, value, State.MEASURED, None, repeat, 0.0))
        return found
