"""Initial weights, from a seed: nothing reads or seeds global random state."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

FRAME = ("stem", "head", "down", "down_shortcut")
"""Parts of a network beside its sub-blocks."""


@torch.no_grad()
def initialise(network: nn.Module, seed: int) -> None:
    """Convolutions and linears: kaiming normal, fan in, ReLU gain, biases 0; norms 1 and 0; others as they declare.

    The weights of stem, head, downsampling and each sub-block depend on the seed, on where they stand and on their
    order there, and on nothing else: two networks that differ in one place are equal everywhere else. Scores of both
    then differ by what differs, not by luck. (Common random numbers, as simulation calls it.) Within a part every
    weight has a generator of its own, so that weights can be drawn on several threads with the same result.
    """
    weights: list[tuple[Tensor, int]] = []
    generator = torch.Generator().manual_seed(_seed_of(seed, ""))
    for name, child in network.named_modules():
        framed = name.rpartition(".")[2] in FRAME and ".graph." not in name  # nodes may have such ids too
        if getattr(child, "is_subblock", False) or framed:
            generator.manual_seed(_seed_of(seed, name))
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


def _seed_of(seed: int, part: str) -> int:
    digest = hashlib.sha256(f"{seed}/{part}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


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
