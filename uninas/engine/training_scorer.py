"""Training as a measurement: what executors run for proxies, they run for trainings too.

A `TrainingScorer` trains a network by a protocol and gives its metrics of the last validation. Worker processes, time
and memory limits, and Ray come with the executors of `uninas.search`; the seed of a training is its repeat.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..genotype import Genotype
from ..search.measurement import Measurement, State
from . import protocol as protocols


@dataclass(frozen=True)
class TrainingScorer:
    """Trains a network and measures it on the held-out images.

    Args:
        protocol: name or path of a training protocol.
        data_root: folder of its data.
        changes: changes of the protocol as a JSON object, nested like the file.
        seed: of repeat 0; repeat n has `seed + n`. It decides initial weights and the order of images.
    """

    protocol: str
    data_root: str
    changes: str = "{}"
    seed: int = 0

    def seed_of(self, phase: str, repeat: int) -> int:
        """The seed of a training; `phase` is what the training is for, and decides nothing."""
        return self.seed + repeat

    def measure(self, genotype: Genotype, phase: str, repeat: int, metrics: Sequence[str]) -> list[Measurement]:
        """One measurement for each metric, such as top1 (percent) or cross_entropy (nats), by one training.

        Raises:
            EngineError: the training diverged, or the protocol has no such metric.
        """
        from ..mm_compat import import_yapf

        import_yapf()  # workers of another machine may be its first
        from .config import build_config
        from .errors import EngineError
        from .run import train_config

        start, seed = time.perf_counter(), self.seed_of(phase, repeat)
        plan = protocols.load(self.protocol, {**json.loads(self.changes), "seed": seed})
        with tempfile.TemporaryDirectory(prefix="uninas-") as folder:
            cfg = build_config(plan, genotype, self.data_root, 1, str(Path(folder, "run")))
            cfg.log_level = "ERROR"
            found = train_config(cfg).metrics
        missing = [metric for metric in metrics if metric not in found]
        if missing:
            raise EngineError(f"{self.protocol} measures {', '.join(found)}, not {', '.join(missing)}")
        seconds = (time.perf_counter() - start) / len(metrics)
        return [Measurement(metric, found[metric], State.MEASURED, None, seed, seconds) for metric in metrics]
