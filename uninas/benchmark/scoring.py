"""Scoring one network of a benchmark: a pure function of the setting, the seed and the genotype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

import uninas

from .. import proxies
from ..compiler import build
from ..device import usable
from ..errors import UninasError, nearest
from ..genotype import Genotype
from ..search.scoring import derived_seed
from .errors import BenchmarkError
from .images import files_digest, load_images
from .nasbench201 import nasbench201
from .store import Row

SPACES: dict[str, Callable[[str], Genotype]] = {"nasbench201": nasbench201}
"""From an architecture string of a table to a genotype."""


@dataclass(frozen=True)
class Setting:
    """All that decides a score beside the genotype, the proxy and the seed.

    Attributes:
        space: a key of SPACES.
        batch: number of inputs.
        size: their height and width in pixels.
        classes: of the scored networks.
        images: a folder of images to draw the inputs from; None stands for standard normal noise.
        device: what scores, as torch calls it.
        threads: of a worker; sums are rounded differently with another number.
    """

    space: str = "nasbench201"
    batch: int = 64
    size: int = 32
    classes: int = 10
    images: str | None = None
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise BenchmarkError(f"there is no benchmark {self.space!r}; {nearest(self.space, SPACES)}")
        for name, least in (("batch", 1), ("size", 1), ("classes", 2), ("threads", 1)):
            if getattr(self, name) < least:
                raise BenchmarkError(f"{name} is a whole number of at least {least}, got {getattr(self, name)}")
        try:
            usable(self.device)
        except UninasError as error:
            raise BenchmarkError(str(error)) from None

    def fingerprint(self) -> dict[str, Any]:
        """As JSON data: equal fingerprints give equal scores."""
        found = {**asdict(self), "torch": torch.__version__, "uninas": uninas.__version__}
        return {**found, "files": files_digest(self.images)} if self.images else found


@dataclass(frozen=True)
class Task:
    """One network to build, and the proxies to score it with."""

    arch: str
    key: str
    """Of the genotype."""
    seed: int
    proxies: tuple[str, ...]


def score_task(task: Task, setting: Setting) -> list[Row]:
    """Builds the network with weights of its own and scores it on the inputs that all networks see.

    A proxy that fails gives a row with the reason.
    """
    seed = derived_seed(task.seed, task.key)
    try:
        network = build(SPACES[setting.space](task.arch), setting.classes, seed=seed).to(setting.device)
        x = inputs(setting, task.seed).to(setting.device)
        found = proxies.score(network, proxies=list(task.proxies), x=x, seed=seed)
    except (UninasError, RuntimeError, MemoryError) as error:  # RuntimeError: torch's, such as out of memory
        reason = f"{type(error).__name__}: {error}"
        return [Row(task.key, proxy, task.seed, None, reason, 0.0) for proxy in task.proxies]
    return [
        Row(task.key, proxy, task.seed, score.value, score.failure and str(score.failure), score.seconds)
        for proxy, score in found.items()
    ]


@lru_cache(maxsize=2)
def inputs(setting: Setting, seed: int) -> Tensor:
    """batch x 3 x size x size, float32: noise, or images drawn from the folder."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "inputs"))
    if setting.images is None:
        return torch.randn(setting.batch, 3, setting.size, setting.size, generator=generator)
    return load_images(setting.images, setting.batch, setting.size, generator)
