"""Trainings that cost nothing: results that follow from the network's key and the seed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from uninas.genotype import Genotype
from uninas.search.measurement import Measurement, State


@dataclass(frozen=True)
class MadeUp:
    """An accuracy in percent for the network, and noise for the seed.

    Args:
        failing: share of the networks that diverge.
        seconds: of a training.
        log: a file that gets a byte for every training.
    """

    failing: float = 0.0
    seconds: float = 0.0
    log: str | None = None

    def measure(self, genotype: Genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        time.sleep(self.seconds)
        if self.log:
            with open(self.log, "ab") as file:
                file.write(b".")
        network, seed = random.Random(genotype.key), random.Random(f"{genotype.key}/{repeat}")
        if network.random() < self.failing:
            reason = "diverged: made up"
            return [Measurement(metric, None, State.FAILED, reason, repeat, 0.0) for metric in metrics]
        accuracy = 50 + 40 * network.random() + seed.gauss(0, 1)
        values = {"top1": accuracy, "cross_entropy": 3 - accuracy / 40}
        return [Measurement(metric, values[metric], State.MEASURED, None, repeat, 0.1) for metric in metrics]
