"""NAS-Bench-Macro: 3^8 = 6,561 chains of MobileNetV2 blocks on CIFAR-10, each trained three times.

Su et al., "Prioritized Architecture Sampling with Monte-Carlo Tree Search", CVPR 2021. The file of their benchmark is

    {"02012100": {"test_acc": [89.47, 88.95, 89.17], "mean_acc": ..., "std": ..., "params": ..., "flops": ...}, ...}

with accuracies in percent. A digit says what one of eight layers is: 0 the identity, 1 an inverted residual of kernel 3
and expansion 3, 2 one of kernel 5 and expansion 6. Layers 1, 3 and 6 halve the image and double the channels, from 32;
there the identity is a convolution of kernel 1 with stride 2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ...compiler.init import initialise, without_initialisation
from ..errors import RankingError
from .base import Benchmark, Column, Table, percentage, percentages

DOWN = (0, 2, 5)
"""Layers with stride 2."""
STEM_WIDTH = 32
LAST_WIDTH = 1280
BLOCKS = {"1": (3, 3), "2": (5, 6)}
"""(kernel, expansion) of the layers that are no identity."""
LAYERS = 8


def read(path: Path) -> Table:
    """All three accuracies of each network, as one column `cifar10`.

    Raises:
        RankingError: the file cannot be read, or an entry is not as in the official file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RankingError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict) or len(data) < 2:
        raise RankingError(f"{path}: expected a mapping of at least 2 architectures such as '02012100' to results")
    rows = [_accuracies(entry, f"{path}, {_checked(arch, str(path))}") for arch, entry in data.items()]
    trainings = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(trainings, rows):
        row[: len(values)] = values
    percentages(trainings, "test_acc", str(path))
    return Table(tuple(data), (Column("cifar10", "cifar10", trainings),))


def module(arch: str, classes: int, seed: int) -> nn.Module:
    """The network of eight digits, initialised as `uninas.build` does; 3 x 32 x 32 and any other size.

    Each block is marked as one for proxies that look at the features between blocks; identities are none.

    Raises:
        RankingError: not an architecture.
    """
    from timm.models._efficientnet_blocks import InvertedResidual  # slower to import than torch

    def layer(digit: str, before: int, after: int, stride: int) -> nn.Module:
        if digit in BLOCKS:
            kernel, expansion = BLOCKS[digit]
            found: nn.Module = InvertedResidual(before, after, kernel, stride, exp_ratio=expansion)
        elif stride == 1:
            return nn.Identity()
        else:
            found = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        found.is_block = True  # type: ignore[assignment]
        return found

    layers, width = [], STEM_WIDTH
    with without_initialisation():
        for i, digit in enumerate(_checked(arch, "architecture")):
            after = 2 * width if i in DOWN else width
            layers.append(layer(digit, width, after, 2 if i in DOWN else 1))
            width = after
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(LAST_WIDTH, classes))
        network = nn.Sequential(*_conv(3, STEM_WIDTH, 3), *layers, *_conv(width, LAST_WIDTH, 1), *head)
    initialise(network, seed)
    return network


def recognises(path: Path) -> bool:
    """Whether `path` is a JSON file."""
    return path.suffix == ".json"


def _conv(before: int, after: int, kernel: int) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)


def _checked(arch: str, where: str) -> str:
    if len(arch) != LAYERS or set(arch) - set("012"):
        raise RankingError(f"{where}: an architecture is {LAYERS} digits from 0 to 2, such as 02012100; got {arch!r}")
    return arch


def _accuracies(entry: Any, where: str) -> list[float]:
    found = entry.get("test_acc") if isinstance(entry, dict) else None
    if not isinstance(found, list) or not found:
        raise RankingError(f"{where}: test_acc is a list of accuracies in percent, got {found!r}")
    return [percentage(value, f"{where}, test_acc[{i}]") for i, value in enumerate(found)]


BENCHMARK = Benchmark(
    name="nasbench_macro",
    files="the JSON file of NAS-Bench-Macro",
    recognises=recognises,
    read=read,
    key=lambda arch: _checked(arch, "architecture"),
    module=module,
)
