"""Small modules and functions that a file gets when its network needs them, in this order."""

from __future__ import annotations

HELPERS = {
    "LayerNorm2d": '''\
class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of B x C x H x W."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, input: Tensor) -> Tensor:
        x = F.layer_norm(input.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
''',
    "RMSNorm2d": '''\
class RMSNorm2d(nn.Module):
    """Root-mean-square normalisation over the channels of B x C x H x W."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6)
        return x * scale * self.weight[:, None, None]
''',
    "LayerScale": '''\
class LayerScale(nn.Module):
    """A learnt factor for each channel."""

    def __init__(self, channels: int, init: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), init))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None]
''',
    "RelativePositionBias": '''\
class RelativePositionBias(nn.Module):
    """A learnt bias for each head and each offset between query and key, as 1 x heads x HW x HW.

    The table covers a grid of size x size positions and is interpolated to other grids.
    """

    def __init__(self, heads: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, 2 * size - 1, 2 * size - 1))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, height: int, width: int) -> Tensor:
        table, centre = self.table[None], self.table.shape[-1] // 2
        if height == 1:
            table = table[:, :, centre : centre + 1]
        if width == 1:
            table = table[..., centre : centre + 1]
        table = F.interpolate(table, (2 * height - 1, 2 * width - 1), mode="bilinear", align_corners=True)
        y, x = (torch.arange(side, device=table.device) for side in (height, width))
        rows = y[:, None] - y + height - 1
        columns = x[:, None] - x + width - 1
        return table[:, :, rows][..., columns].transpose(3, 4).flatten(4, 5).flatten(2, 3)
''',
    "MapPositionBias": '''\
class MapPositionBias(RelativePositionBias):
    """The same for a map whose rows and columns stand for the positions of a size x size grid, as 1 x heads x H x W."""

    def forward(self, height: int, width: int) -> Tensor:
        side = (self.table.shape[-1] + 1) // 2
        bias = super().forward(side, side)
        return F.interpolate(bias, (height, width), mode="bilinear", align_corners=True)
''',
    "split_heads": '''\
def split_heads(x: Tensor, heads: int) -> Tensor:
    """B x C x H x W -> B x heads x HW x C / heads."""
    return x.flatten(2).unflatten(1, (heads, -1)).transpose(-2, -1)
''',
    "join_heads": '''\
def join_heads(x: Tensor, like: Tensor) -> Tensor:
    """B x heads x HW x C / heads -> B x C x H x W, H and W of `like`."""
    return x.transpose(-2, -1).flatten(1, 2).unflatten(2, like.shape[2:])
''',
    "affinities": '''\
def affinities(x: Tensor, y: Tensor, heads: int) -> Tensor:
    """Scaled products of all pairs of positions, B x heads x HW x HW."""
    x, y = split_heads(x, heads), split_heads(y, heads)
    return x * x.shape[-1] ** -0.5 @ y.transpose(-2, -1)
''',
    "mix": '''\
def mix(weights: Tensor, y: Tensor, heads: int) -> Tensor:
    """Positions of `y` summed with weights of B x heads x HW x HW."""
    return join_heads(weights @ split_heads(y, heads), y)
''',
    "attention": '''\
def attention(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Multi-head attention between the positions of B x C x H x W."""
    x = F.scaled_dot_product_attention(*(split_heads(part, heads) for part in (q, k, v)), attn_mask=bias)
    return join_heads(x, v)
''',
    "outside_band": '''\
def outside_band(rows: int, columns: int, band: int, device: torch.device) -> Tensor:
    """Whether row and column are further apart than `band`."""
    i, j = torch.arange(rows, device=device), torch.arange(columns, device=device)
    return (i[:, None] - j).abs() > band
''',
    "keep_band": '''\
def keep_band(x: Tensor, band: int) -> Tensor:
    """Zero where the last two indices are further apart than `band`."""
    return x.masked_fill(outside_band(x.shape[-2], x.shape[-1], band, x.device), 0.0)
''',
    "band_bias": '''\
def band_bias(scores: Tensor, band: int) -> Tensor:
    """What takes pairs of positions further apart than `band` out of a softmax, HW x HW."""
    outside = outside_band(scores.shape[-2], scores.shape[-1], band, scores.device)
    return torch.zeros_like(outside, dtype=scores.dtype).masked_fill(outside, -1e4)
''',
    "band_bias_of": '''\
def band_bias_of(x: Tensor, band: int) -> Tensor:
    """What takes positions of B x C x H x W further apart than `band` out of attention, HW x HW."""
    positions = x.shape[2] * x.shape[3]
    outside = outside_band(positions, positions, band, x.device)
    return torch.zeros_like(outside, dtype=x.dtype).masked_fill(outside, -1e4)
''',
    "SqueezeExcite": '''\
class SqueezeExcite(nn.Module):
    """Channel gates from the global average, through `hidden` channels."""

    def __init__(self, channels: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.activation = activation
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.expand(self.activation(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gates)
''',
    "SelfAttention": '''\
class SelfAttention(nn.Module):
    """Multi-head self-attention with relative position bias: B x C x H x W -> B x K x H x W."""

    def __init__(self, in_channels: int, out_channels: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Conv2d(in_channels, 3 * in_channels, 1)
        self.bias = RelativePositionBias(heads, size)
        self.project = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = torch.chunk(self.qkv(x), 3, dim=1)
        return self.project(attention(q, k, v, self.heads, self.bias(x.shape[2], x.shape[3])))
''',
    "halving_average": '''\
def halving_average() -> nn.AvgPool2d:
    """Average over 2 x 2; an odd side rounds up and averages what is there."""
    return nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
''',
    "GlobalAverage": '''\
class GlobalAverage(nn.Module):
    """B x C x H x W -> B x C x 1 x 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)
''',
    "Classifier": '''\
class Classifier(nn.Linear):
    """B x C x 1 x 1 -> B x classes."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1))
''',
}

SUBBLOCK = '''\
class SubBlock(nn.Module):
    """activation(shortcut(x) + graph(down(norm(x)))), where `down` and `shortcut` may halve.

    Without `residual` there is no shortcut.
    """

    def __init__(
        self,
        graph: nn.Module,
        norm: nn.Module | None = None,
        down: list[nn.Module] | None = None,
        shortcut: list[nn.Module] | None = None,
        residual: bool = True,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.prepare = nn.Sequential(*([norm] if norm else []), *(down or []))
        self.shortcut = nn.Sequential(*(shortcut or []))
        self.graph = graph
        self.residual = residual
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.graph(self.prepare(x))
        if self.residual:
            out = self.shortcut(x) + out
        return self.activation(out)
'''

PLAIN_SUBBLOCK = '''\
class SubBlock(nn.Module):
    """activation(x + graph(norm(x))); without `residual`, x is not added."""

    def __init__(
        self,
        graph: nn.Module,
        norm: nn.Module | None = None,
        residual: bool = True,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.prepare = nn.Sequential(*([norm] if norm else []))
        self.graph = graph
        self.residual = residual
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.graph(self.prepare(x))
        return self.activation(x + out if self.residual else out)
'''

BLOCK = '''\
class Block(nn.Module):
    """Sub-blocks in sequence, behind what changes resolution and width: `down`, plus `beside` and then `behind` where
    there are any."""

    def __init__(
        self,
        *subblocks: nn.Module,
        down: nn.Module | None = None,
        beside: nn.Module | None = None,
        behind: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.down = down or nn.Identity()
        self.down_shortcut = beside
        self.down_behind = behind or nn.Identity()
        self.subblocks = nn.Sequential(*subblocks)

    def forward(self, x: Tensor) -> Tensor:
        out = self.down(x)
        if self.down_shortcut is not None:
            out = self.down_shortcut(x) + out
        return self.subblocks(self.down_behind(out))
'''
