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
        late: share of the networks that time out.
        seconds: of a training.
        log: a file that gets a byte for every training.
        seed: of repeat 0.
    """

    failing: float = 0.0
    seconds: float = 0.0
    log: str | None = None
    late: float = 0.0
    seed: int = 0

    def seed_of(self, phase: str, repeat: int) -> int:
        return self.seed + repeat

    def measure(self, genotype: Genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        time.sleep(self.seconds)
        if self.log:
            with open(self.log, "ab") as file:
                file.write(b".")
        number = self.seed_of(phase, repeat)
        network, seed = random.Random(genotype.key), random.Random(f"{genotype.key}/{number}")
        fate = network.random()
        for share, state, reason in (
            (self.failing, State.FAILED, "diverged: made up"),
            (self.late, State.TIMED_OUT, "timed out: made up"),
        ):
            if fate < share:
                return [Measurement(metric, None, state, reason, number, 0.0) for metric in metrics]
        accuracy = 50 + 40 * network.random() + seed.gauss(0, 1)
        values = {"top1": accuracy, "cross_entropy": 3 - accuracy / 40}
        return [Measurement(metric, values[metric], State.MEASURED, None, number, 0.1) for metric in metrics]
