"""Scoring one network of a table: a pure function of the setting, the seed and the architecture."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import uninas

from .. import proxies
from ..device import usable
from ..errors import UninasError
from ..search.scoring import derived_seed
from . import tables
from .depth import depth
from .errors import RankingError
from .images import files_digest, load_images
from .store import Row

DEPTH = "depth"
BASELINES = ("params", "macs", DEPTH)
"""What is known of a network without looking at what it does: scored beside whatever is asked for."""


@dataclass(frozen=True)
class Setting:
    """All that decides a score beside the architecture, the proxy and the seed.

    Attributes:
        benchmark: how networks are built: see `uninas.ranking.tables.load`.
        batch: number of inputs.
        size: their height and width in pixels.
        classes: of the scored networks.
        images: a folder of images to draw the inputs from; None stands for standard normal noise.
        device: what scores, as torch calls it.
        threads: of a worker; sums are rounded differently with another number.

    Raises:
        RankingError: an unknown benchmark or device, or a number out of range.
    """

    benchmark: str = "nasbench201"
    batch: int = 64
    size: int = 32
    classes: int = 10
    images: str | None = None
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        tables.load(self.benchmark)
        for name, least in (("batch", 1), ("size", 1), ("classes", 2), ("threads", 1)):
            if getattr(self, name) < least:
                raise RankingError(f"{name} is a whole number of at least {least}, got {getattr(self, name)}")
        try:
            usable(self.device)
        except UninasError as error:
            raise RankingError(str(error)) from None

    @classmethod
    def of(cls, benchmark: str, size: int | None = None, classes: int | None = None, **others: Any) -> Setting:
        """A setting with the size and the classes that the benchmark declares, unless they are given."""
        found = tables.load(benchmark)
        return cls(
            benchmark,
            size=found.inputs.size if size is None else size,
            classes=found.classes if classes is None else classes,
            **others,
        )

    def fingerprint(self) -> dict[str, Any]:
        """As JSON data: equal fingerprints give equal scores."""
        found = {**asdict(self), "torch": torch.__version__, "uninas": uninas.__version__}
        if self.benchmark.endswith(".py"):
            found["code"] = Path(self.benchmark).read_text(encoding="utf-8")
        return {**found, "files": files_digest(self.images)} if self.images else found


@dataclass(frozen=True)
class Task:
    """One network to build, and the proxies and baselines to score it with."""

    arch: str
    key: str
    seed: int
    proxies: tuple[str, ...]


def score_task(task: Task, setting: Setting) -> list[Row]:
    """Builds the network with weights of its own and scores it on the inputs that all networks see.

    What fails gives a row with the reason.
    """
    seed = derived_seed(task.seed, task.key)
    try:
        network = tables.load(setting.benchmark).module(task.arch, setting.classes, seed).to(setting.device)
    except Exception as error:  # a benchmark can be anyone's code
        return _failed(task, error)
    try:
        x = inputs(setting, task.seed).to(setting.device)
        found = proxies.score(network, proxies=[name for name in task.proxies if name != DEPTH], x=x, seed=seed)
        if DEPTH in task.proxies:
            found[DEPTH] = _depth(network, x)
    except (UninasError, RuntimeError, MemoryError) as error:  # RuntimeError: torch's, such as out of memory
        return _failed(task, error)
    return [
        Row(task.key, proxy, task.seed, found[proxy].value, found[proxy].failure, found[proxy].seconds)
        for proxy in task.proxies
    ]


def _failed(task: Task, error: Exception) -> list[Row]:
    reason = f"{type(error).__name__}: {error}"
    return [Row(task.key, proxy, task.seed, None, reason, 0.0) for proxy in task.proxies]


@lru_cache(maxsize=2)
def inputs(setting: Setting, seed: int) -> Tensor:
    """batch x channels x size x size, float32: noise, or images drawn from the folder."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "inputs"))
    channels, size = tables.load(setting.benchmark).inputs.channels, setting.size
    if setting.images is None:
        return torch.randn(setting.batch, channels, size, size, generator=generator)
    return load_images(setting.images, setting.batch, size, generator, channels)


def _depth(network: nn.Module, x: Tensor) -> proxies.Score:
    start = time.perf_counter()
    try:
        value, failure = float(depth(network, x)), None
    except proxies.ProxyFailure as error:
        value, failure = None, str(error)
    return proxies.Score(value, failure, time.perf_counter() - start)
