"""Attention with a bias over so many positions that heads x N x N numbers would not fit: some queries at a time.

An image of 1280 x 800 has 64,000 positions at stride 4; the bias of one head would then take 16 GB. Here no more than
a tile of weights - a few queries, all keys - is ever there: made, used and left; going back, it is made again from the
logarithms of the sums that the forward pass kept (Dao et al., "FlashAttention", NeurIPS 2022, with a bias that learns).

In reversed order, query (y, x) reads the window of the reversed table that starts at (y, x). A tile's bias is then a
view of the table, and the table's gradient a sum of shifted rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LIMIT = 2**29
"""Entries of a bias above which it is not kept as a whole: 2 GiB in float32."""
TILE = {"cpu": 2**23, "cuda": 2**26}
"""Entries of the weights that are there at a time, 32 or 256 MiB in float32: few enough for a CPU's cache to be of use,
enough to keep a GPU busy."""


class LargeBias(NamedTuple):
    """A relative position bias that is expanded where it is used."""

    table: Tensor
    """1 x h x (2 H - 1) x (2 W - 1): the bias of every offset, [..., H - 1, W - 1] that of a position to itself."""
    height: int
    width: int


def expand(bias: LargeBias) -> Tensor:
    """1 x h x N x N, N = H * W: the bias of every query to every key."""
    table, height, width = bias
    # windows[y1, x1, u, v] = table[y1 + u, x1 + v]; the bias wants offset y1 - y2 + H - 1, so u = H - 1 - y2.
    windows = table.unfold(2, height, 1).unfold(3, width, 1)
    return windows.flip((4, 5)).flatten(4, 5).flatten(2, 3)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: LargeBias) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v for q, k, v of B x h x N x d; differentiable once."""
    return _Attend.apply(q, k, v, bias.table, bias.height, bias.width)  # type: ignore[return-value]


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, table: Tensor, height: int, width: int) -> Tensor:
        with torch.autocast(q.device.type, enabled=False):
            tiles = _Tiles(q, k, table, height, width)
            values, out = _exact(v), torch.empty_like(tiles.queries)
            sums = out.new_empty(*out.shape[:2], 1)
            for where, _, scores in tiles:
                sums[:, where] = scores.logsumexp(-1, keepdim=True)
                out[:, where] = scores.sub_(sums[:, where]).exp_() @ values
        ctx.save_for_backward(q, k, v, table, out, sums)
        ctx.size = height, width
        return out.flip(1).view(v.shape).to(v.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, table, out, sums = ctx.saved_tensors
        with torch.autocast(q.device.type, enabled=False):
            tiles = _Tiles(q, k, table, *ctx.size)
            values, gradient = _exact(v), _exact(gradient).flip(1)
            shares = (gradient * out).sum(-1, keepdim=True)  # each query's slopes, averaged by its weights
            dq, dk, dv = (torch.zeros_like(x) for x in (tiles.queries, tiles.keys, values))
            dtable = torch.zeros_like(tiles.table)
            for where, corner, scores in tiles:
                weights, above = scores.sub_(sums[:, where]).exp_(), gradient[:, where]
                dv.baddbmm_(weights.transpose(1, 2), above)
                slopes = torch.baddbmm(shares[:, where], above, values.transpose(1, 2), beta=-1).mul_(weights)
                dq[:, where] = slopes @ tiles.keys
                dk.baddbmm_(slopes.transpose(1, 2), tiles.queries[:, where])
                tiles.add_to_windows(dtable, corner, slopes)
        dq = dq.flip(1).mul_(tiles.scale)  # the tiles' queries were scaled, so dk is as it should be
        found = (x.view(like.shape).to(like.dtype) for x, like in ((dq, q), (dk, k), (dv, v)))
        return *found, dtable.flip(1, 2)[None].to(table.dtype), None, None


class _Tiles:
    """The scores of all queries, reversed, in tiles: a few queries of one row of the image, all keys.

    Attributes:
        scale: of the scores.
        queries, keys: B * h x N x d, of which the queries are reversed and scaled.
        table: h x (2 H - 1) x (2 W - 1), reversed.
    """

    def __init__(self, q: Tensor, k: Tensor, table: Tensor, height: int, width: int) -> None:
        self._height, self._width, self.scale = height, width, q.shape[-1] ** -0.5
        self.queries, self.keys = _exact(q).flip(1) * self.scale, _exact(k)
        self.table = _exact(table).flip(1, 2)
        tile = TILE.get(q.device.type, TILE["cuda"])
        self._length = max(1, min(width, tile // (len(self.keys) * height * width)))

    def __iter__(self) -> Iterator[tuple[slice, tuple[int, int], Tensor]]:
        """(queries, (y, x) of the first, their B * h x n x N scores, which may be overwritten)."""
        for y in range(self._height):
            for x in range(0, self._width, self._length):
                count = min(self._length, self._width - x)
                where = slice(y * self._width + x, y * self._width + x + count)
                bias = self._windows((y, x), count)
                bias = bias.repeat(len(self.keys) // len(bias), 1, 1) if len(self.keys) > len(bias) else bias
                yield where, (y, x), bias.baddbmm_(self.queries[:, where], self.keys.transpose(1, 2))

    def _windows(self, corner: tuple[int, int], count: int) -> Tensor:
        """h x n x N: windows of the table that start at (y, x), (y, x + 1), ..."""
        y, x = corner
        rows = self.table[:, y : y + self._height, x : x + count + self._width - 1]
        return rows.unfold(2, self._width, 1).transpose(1, 2).clone(memory_format=torch.contiguous_format).flatten(2)

    def add_to_windows(self, table: Tensor, corner: tuple[int, int], slopes: Tensor) -> None:
        """Adds B * h x n x N slopes to the n windows of a table from which their bias came.

        Window i is shifted by i. Rows with n zeros behind them, read as if they were one shorter, are shifted so: then
        the windows are summed as columns.
        """
        (y, x), count = corner, slopes.shape[1]
        length = self._width + count
        images = slopes.view(-1, len(table), count, self._height, self._width)
        rows = (images.sum(0) if len(images) > 1 else images[0]).transpose(1, 2)
        shifted = F.pad(rows, (0, count)).flatten(2)[..., : count * (length - 1)].unflatten(2, (count, length - 1))
        table[:, y : y + self._height, x : x + length - 1] += shifted.sum(2)


def _exact(x: Tensor) -> Tensor:
    """Batch and heads as one, in single precision at least: sums over many thousand positions want it."""
    x = x.flatten(0, -3)
    return x if x.dtype == torch.float64 else x.float()
