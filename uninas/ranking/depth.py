"""The depth of any network, as a baseline that every score should beat."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..proxies.failures import ProxyFailure, logits_of

LAYERS = ("ConvolutionBackward", "AddmmBackward", "MmBackward", "LinearBackward")
"""Backward functions of convolutions and linear layers."""


def depth(net: nn.Module, x: Tensor) -> int:
    """Convolutions and linear layers on the longest path from the input to the logits.

    Counted in the graph that autograd records of one image in eval mode, so it holds for any network: parallel branches
    count as the longest of them, shortcuts as nothing. A linear layer on a list of vectors (a transformer's) counts,
    products of two activations (attention's) do not.

    Args:
        net: with weights that take gradients. It is handed back in the mode it was in.
        x: B x C x H x W, of which the first image is taken.

    Raises:
        ProxyFailure: the network does not run, or records no graph.
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.enable_grad():
            root = logits_of(net, x[:1]).grad_fn
    finally:
        for module, mode in modes.items():
            module.training = mode
    if root is None:
        raise ProxyFailure("not differentiable", "the logits depend on nothing that takes gradients")
    return _longest(root)


def _longest(root: Any) -> int:
    """Layers on the longest path below a node of autograd's graph, itself counted; without recursion, as it is deep."""
    found: dict[Any, int] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        below = [child for child, _ in node.next_functions if child is not None]
        waiting = [child for child in below if child not in found]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        found[node] = node.name().startswith(LAYERS) + max((found[child] for child in below), default=0)
    return found[root]
