"""Attention, taken apart and fused.

B batch, h heads, d channels of a head, N = H * W positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..large_attention import LIMIT, LargeBias, attend, expand

MASKED = -1e4
"""Added to an affinity to exclude it; finite, so that whatever follows stays finite."""


def split_heads(x: Tensor, heads: int) -> Tensor:
    """B x C x H x W -> B x h x N x d, a view."""
    return x.flatten(2).unflatten(1, (heads, -1)).transpose(-2, -1)


def join_heads(x: Tensor, like: Tensor) -> Tensor:
    """B x h x N x d -> B x C x H x W of `like`."""
    x_BhdN = x.transpose(-2, -1)
    if torch.compiler.is_compiling():  # an exporter takes fused attention apart, and the layout changes with it
        x_BhdN = x_BhdN.clone(memory_format=torch.contiguous_format)
    return x_BhdN.flatten(1, 2).unflatten(2, like.shape[2:])


class Affinity(nn.Module):
    """x, y (B x C x H x W) -> B x h x N x N: x[p] . y[q] / sqrt(d)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x_BhNd, y_BhNd = split_heads(x, self.heads), split_heads(y, self.heads)
        return (x_BhNd * x_BhNd.shape[-1] ** -0.5) @ y_BhNd.transpose(-2, -1)


class WeightedSum(nn.Module):
    """a (B x h x N x N), y (B x C x H x W) -> B x C x H x W: sum over q of a[p, q] y[q]."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, a: Tensor, y: Tensor) -> Tensor:
        return join_heads(a @ split_heads(y, self.heads), y)


class FusedAttention(nn.Module):
    """q, k, v (B x C x H x W) and an optional additive bias (1 or B x h x N x N) -> B x C x H x W.

    softmax(q k^T / sqrt(d) + bias) v, without keeping the N x N affinities.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | LargeBias | None = None) -> Tensor:
        q_BhNd, k_BhNd, v_BhNd = (split_heads(x, self.heads) for x in (q, k, v))
        if isinstance(bias, LargeBias):
            return join_heads(attend(q_BhNd, k_BhNd, v_BhNd, bias), v)
        return join_heads(F.scaled_dot_product_attention(q_BhNd, k_BhNd, v_BhNd, attn_mask=bias), v)


def _offsets(side: int, device: torch.device) -> Tensor:
    """side x side: the offset between two positions along one axis, counted from 0."""
    positions = torch.arange(side, device=device)
    return positions[:, None] - positions + (side - 1)


class RelativePositionBias(nn.Module):
    """Adds a learnt bias for each head and each offset between query and key.

    The table covers the offsets of a `size` x `size` grid and is interpolated (bilinear, aligned corners) to the
    offsets of the actual H x W.

    Called with `scores=None` it returns the bias alone (1 x h x N x N), as fused attention wants it, or, when that is
    too large and `defers` says that only fused attention sees it, what to expand it from.
    """

    defers = False

    def __init__(self, heads: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, 2 * size - 1, 2 * size - 1))
        self._kept: tuple[tuple[int, int, torch.dtype], Tensor, Tensor] | None = None

    def forward(self, scores: Tensor | None, reference: Tensor) -> Tensor | LargeBias:
        height, width = reference.shape[2:]
        if self.defers and not torch.compiler.is_compiling() and len(self.table) * (height * width) ** 2 > LIMIT:
            return LargeBias(self._interpolate(height, width), height, width)
        bias = self._bias(height, width)
        return bias if scores is None else scores + bias

    def _bias(self, height: int, width: int) -> Tensor:
        """The bias for one size, kept between calls while inferring on a CPU, where expanding it is a memory copy of
        heads x N x N. The table's values are compared, not its version: averaged weights may be swapped in unseen."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling() or self.table.device.type != "cpu":
            self._kept = None
            return self._expand(height, width)
        what = (height, width, self.table.dtype)
        if self._kept is None or self._kept[0] != what or not torch.equal(self._kept[1], self.table):
            self._kept = (what, self.table.detach().clone(), self._expand(height, width))
        return self._kept[2]

    def _expand(self, height: int, width: int) -> Tensor:
        table = self._interpolate(height, width)
        if torch.compiler.is_compiling():  # where the sizes of windows would become constants
            rows, columns = (_offsets(side, table.device) for side in (height, width))
            return table[:, :, rows][..., columns].transpose(3, 4).flatten(4, 5).flatten(2, 3)
        return expand(LargeBias(table, height, width))

    def _interpolate(self, height: int, width: int) -> Tensor:
        """1 x h x (2 H - 1) x (2 W - 1)."""
        table = self.table[None]
        centre = slice(table.shape[2] // 2, table.shape[2] // 2 + 1)
        if isinstance(height, int) and height == 1:  # interpolation to one offset would take the first
            table = table[:, :, centre]
        if isinstance(width, int) and width == 1:
            table = table[..., centre]
        return F.interpolate(table, size=(2 * height - 1, 2 * width - 1), mode="bilinear", align_corners=True)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_kept": None}

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        nn.init.trunc_normal_(self.table, std=0.02, generator=generator)


class BandMask(nn.Module):
    """Keeps the entries with |i - j| <= band on the last two axes; the others become 0 or, additively, MASKED.

    In the additive form, called with `scores=None`, it returns the mask alone (1 x 1 x N x N).
    """

    def __init__(self, band: int, additive: bool) -> None:
        super().__init__()
        self.band, self.additive = band, additive

    def forward(self, scores: Tensor | None, reference: Tensor) -> Tensor:
        if scores is None:
            rows = columns = reference.shape[2] * reference.shape[3]
        else:
            rows, columns = scores.shape[2:]
        i = torch.arange(rows, device=reference.device)[:, None]
        j = torch.arange(columns, device=reference.device)[None, :]
        outside = (i - j).abs() > self.band
        if not self.additive:
            return scores.masked_fill(outside, 0.0)  # type: ignore[union-attr]
        mask = torch.zeros((), dtype=reference.dtype, device=reference.device).masked_fill(outside, MASKED)[None, None]
        return mask if scores is None else scores + mask
