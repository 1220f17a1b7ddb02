"""Attention with a bias over so many positions that heads x N x N numbers would not fit: rows of queries in turns.

An image of 1280 x 800 has 64,000 positions at stride 4; the bias of one head would then take 16 GB. Going back, the
weights of each part are computed again, so that no more than one part's are ever there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

LIMIT = 2**29
"""Entries of a bias above which it is not kept as a whole: 2 GiB in float32."""
PART = 2**26
"""Entries of the affinities of one part."""


class LargeBias(NamedTuple):
    """A relative position bias that is expanded where it is used."""

    table: Tensor
    """1 x h x (2 H - 1) x (2 W - 1): the bias of every offset, [..., H - 1, W - 1] that of a position to itself."""
    height: int
    width: int


def expand(bias: LargeBias, first: int = 0, last: int | None = None) -> Tensor:
    """1 x h x (last - first) * W x H * W: the bias of the queries in rows `first` to `last` (excluded) to all keys."""
    table, height, width = bias
    # windows[y1, x1, u, v] = table[y1 + u, x1 + v]; the bias wants offset y1 - y2 + H - 1, so u = H - 1 - y2.
    rows = table[:, :, first : (height if last is None else last) + height - 1]
    windows = rows.unfold(2, height, 1).unfold(3, width, 1)
    return windows.flip((4, 5)).flatten(4, 5).flatten(2, 3)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: LargeBias) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v for q, k, v of B x h x N x d."""
    batch, heads, positions, _ = q.shape
    step = max(1, PART // (batch * heads * bias.width * positions))

    def part(q: Tensor, k: Tensor, v: Tensor, table: Tensor, first: int, last: int) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=expand(bias._replace(table=table), first, last))

    found = []
    for first in range(0, bias.height, step):
        last = min(first + step, bias.height)
        queries = q[:, :, first * bias.width : last * bias.width]
        arguments = (queries, k, v, bias.table, first, last)
        if torch.is_grad_enabled():
            found.append(checkpoint(part, *arguments, use_reentrant=False, preserve_rng_state=False))
        else:
            found.append(part(*arguments))
    return torch.cat(found, 2)
