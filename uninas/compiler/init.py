"""Initial weights, from a seed: nothing reads or seeds global random state."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Init = Literal["search", "train"]
"""Schemes of initial weights, see `initialise`."""
INITS: tuple[str, ...] = get_args(Init)

FRAME = ("stem", "head", "down", "down_shortcut")
"""Parts of a network beside its sub-blocks."""


@torch.no_grad()
def initialise(network: nn.Module, seed: int, init: Init = "search") -> None:
    """Draws all weights; biases are 0, norms 1 and 0, all else is as its module declares.

    The weights of stem, head, downsampling and each sub-block depend on the seed, on where they stand and on their
    order there, and on nothing else: two networks that differ in one place are equal everywhere else. Scores of both
    then differ by what differs, not by luck. (Common random numbers, as simulation calls it.) Within a part every
    weight has a generator of its own, so that weights can be drawn on several threads with the same result.

    Args:
        init: the deviations of the normal numbers, in which alone the schemes differ:

            search: kaiming normal for all convolutions and linears, fan in, ReLU gain. What scores are defined on.
            train: as timm initialises its CoAtNets (`vit_eff`), fans being those of a group. Kaiming normal, fan out,
                as in its EfficientNets and ResNets; Xavier normal for linears and for all weights of a residual branch
                without batch norm, as in a ViT: no norm behind them takes their scale away.
    """
    weights: list[tuple[Tensor, int, bool, float]] = []
    generator = torch.Generator().manual_seed(_seed_of(seed, ""))
    branch = None  # what names in a residual branch without batch norm start with
    for name, child in network.named_modules():
        is_subblock = getattr(child, "is_subblock", False)
        framed = name.rpartition(".")[2] in FRAME and ".graph." not in name  # nodes may have such ids too
        if is_subblock or framed:
            generator.manual_seed(_seed_of(seed, name))
            branch = f"{name}.graph." if init == "train" and is_subblock and _is_plain_branch(child) else None
        if isinstance(child, (nn.Conv2d, nn.Linear)):
            grouped = isinstance(child, nn.Conv2d) and 1 < child.groups < child.in_channels
            plain = isinstance(child, nn.Linear) or (branch is not None and name.startswith(branch))
            weights.append((child.weight, _draw_seed(generator), grouped, _deviation(child, init, plain)))
            if child.bias is not None:
                child.bias.zero_()
        elif isinstance(child, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)):
            child.reset_parameters()  # ones and zeros: no random numbers
        elif next(child.parameters(recurse=False), None) is not None:
            child.reset_parameters(generator)  # type: ignore[operator]
    weights.sort(key=lambda item: -item[0].numel())  # the long ones first, so that threads end together
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(_normal, *zip(*weights)))


def _deviation(layer: nn.Conv2d | nn.Linear, init: Init, plain: bool) -> float:
    """Of a layer's weights; `plain` where no norm makes up for their scale."""
    fan_in = layer.weight[0].numel()
    if init == "search":
        return math.sqrt(2.0 / fan_in)
    positions = fan_in // layer.weight.shape[1]
    fan_out = layer.weight.shape[0] * positions // getattr(layer, "groups", 1)
    return math.sqrt(2.0 / (fan_in + fan_out)) if plain else math.sqrt(2.0 / fan_out)


def _is_plain_branch(subblock: Any) -> bool:
    """Whether a sub-block adds its graph to its input, and no batch norm makes up for the scale of weights."""
    return subblock.residual and not any(isinstance(module, nn.BatchNorm2d) for module in subblock.graph.modules())


def _seed_of(seed: int, part: str) -> int:
    digest = hashlib.sha256(f"{seed}/{part}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


@torch.no_grad()
def _normal(weight: Tensor, seed: int, grouped: bool, deviation: float) -> None:
    """Draws a convolution's weight in channels-last order and leaves it so laid out, which convolutions follow.

    Not that of a grouped one: on a CPU its gradient can be wrong then. (Slow path of PyTorch 2.14, a batch of one image
    with the strides that attention gives it.)
    """
    generator = torch.Generator().manual_seed(seed)
    if weight.dim() == 4:  # drawn in that order it is contiguous
        out, channels, *kernel = weight.shape
        drawn = torch.empty(out, *kernel, channels).normal_(0.0, deviation, generator=generator).permute(0, 3, 1, 2)
        if grouped:
            weight.copy_(drawn)
        else:
            weight.data = drawn
    else:
        weight.normal_(0.0, deviation, generator=generator)


class without_initialisation(TorchFunctionMode):
    """Modules made inside keep uninitialised tensors: torch's own initialisation costs time and global random numbers.

    (The meta device does that too, but its first tensor costs half a second, and every one several function calls.)
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Functions of torch.nn.init give their tensor back as it is."""
        if func in _TORCH_INIT:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


_TORCH_INIT = {getattr(nn.init, name) for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")}
