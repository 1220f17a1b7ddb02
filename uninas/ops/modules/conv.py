"""Equal convolutions run as one, for rewriting passes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _joined(convs: tuple[nn.Conv2d, ...]) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of equal convolutions, one behind the other."""
    weight = torch.cat([conv.weight for conv in convs])
    if convs[0].bias is None:
        return weight, None
    return weight, torch.cat([conv.bias for conv in convs if conv.bias is not None])


def _special(convs: tuple[nn.Module, ...]) -> bool:
    """Whether someone put hooks on a convolution, or something else in its place: then it has to be called itself."""
    return any(
        type(conv) is not nn.Conv2d
        or conv._forward_hooks
        or conv._forward_pre_hooks
        or conv._backward_hooks
        or conv._backward_pre_hooks
        for conv in convs
    )


class ParallelConv(nn.Module):
    """Equal convolutions on consecutive channel groups, run as one grouped convolution.

    The convolutions are arguments: they stay where they are in the network, so a rewritten network keeps its state
    dict. Joining costs a copy of the weights, which is small beside the activations. When a member carries hooks or was
    replaced, the members run one by one: whoever hooks a layer sees what the plain network would show.
    """

    def forward(self, x: Tensor, *convs: nn.Conv2d) -> Tensor:
        if _special(convs):
            return torch.cat([conv(part) for conv, part in zip(convs, torch.chunk(x, len(convs), dim=1))], dim=1)
        weight, bias = _joined(convs)
        weight = weight.flatten(1).reshape(weight.shape)  # in the layout that grouped convolutions need: compiler/init
        return F.conv2d(x, weight, bias, padding=convs[0].padding, groups=convs[0].groups * len(convs))


class SharedInputConv(nn.Module):
    """Equal ungrouped convolutions of one input, run as one convolution with their outputs side by side."""

    def forward(self, x: Tensor, *convs: nn.Conv2d) -> Tensor:
        if _special(convs):
            return torch.cat([conv(x) for conv in convs], dim=1)
        weight, bias = _joined(convs)
        return F.conv2d(x, weight, bias, padding=convs[0].padding)
