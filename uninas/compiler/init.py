"""Initial weights, from a generator: nothing reads or seeds global random state."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Convolutions and linears: kaiming normal, fan in, ReLU gain, biases 0; norms 1 and 0; others as they declare.

    Every weight has a generator of its own, seeded from `generator` in `modules()` order, so that weights can be drawn
    on several threads with the same result.
    """
    weights: list[tuple[Tensor, int]] = []
    for child in module.modules():
        if isinstance(child, (nn.Conv2d, nn.Linear)):
            weights.append((child.weight, _draw_seed(generator)))
            if child.bias is not None:
                child.bias.zero_()
        elif isinstance(child, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
            child.reset_parameters()  # ones and zeros: no random numbers
        elif next(child.parameters(recurse=False), None) is not None:
            child.reset_parameters(generator)  # type: ignore[operator]
    weights.sort(key=lambda item: -item[0].numel())  # the long ones first, so that threads end together
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(_kaiming_normal, *zip(*weights)))


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


@torch.no_grad()
def _kaiming_normal(weight: Tensor, seed: int) -> None:
    flat = weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight
    # Drawing into a contiguous tensor is several times faster, and weights are laid out channels last.
    draw = flat if flat.is_contiguous() else torch.empty_like(flat, memory_format=torch.contiguous_format)
    draw.normal_(0.0, math.sqrt(2.0 / weight[0].numel()), generator=torch.Generator().manual_seed(seed))
    if draw is not flat:
        flat.copy_(draw)
