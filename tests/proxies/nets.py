"""Tiny classifiers, one for each thing that a proxy may stumble over."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uninas import proxies

CLASSES = 4
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])
"""Of `images()`."""


class LayerNorm2d(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class RMSNorm2d(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6) * self.weight[:, None, None]


class LayerScale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Bias(nn.Module):
    """1 x heads x N x N, from a table: no batch dimension."""

    def __init__(self, heads: int, positions: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(heads, 2 * positions))

    def forward(self) -> Tensor:
        n = self.table.shape[1] // 2
        offsets = torch.arange(n)[:, None] - torch.arange(n) + n - 1
        return self.table[:, offsets][None]


class Attention(nn.Module):
    """Over the positions of B x C x H x W; the bias is called, or read behind its back."""

    def __init__(self, channels: int, heads: int, positions: int, call_bias: bool = True) -> None:
        super().__init__()
        self.heads, self.call_bias = heads, call_bias
        self.qkv = nn.Linear(channels, 3 * channels)
        self.bias = Bias(heads, positions)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.bias() if self.call_bias else self.bias.forward()
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)
        return self.out(y).transpose(1, 2).reshape(x.shape)


class Windows(nn.Module):
    """Linear layer on windows that are folded into the batch, as in Swin."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        windows = x.view(b, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 3, 5, 1).reshape(4 * b, -1, c)
        y = self.mix(windows).view(b, 2, 2, h // 2, w // 2, c).permute(0, 5, 1, 3, 2, 4)
        return y.reshape(x.shape)


class Residual(nn.Module):
    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        y += x
        return y


class Tokens(nn.Module):
    """ViT-like: parameters on the network itself, one of them the class token; a norm over the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 5, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.position
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(self.norm(x)[:, 0])


class Tied(nn.Module):
    """One convolution called twice, one weight owned by two modules, one parameter never used."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.twice = nn.Conv2d(6, 6, 3, padding=1)
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        self.b.weight = self.a.weight
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(F.gelu(self.twice(F.gelu(self.stem(x))))).mean((2, 3))
        return self.head(self.b(torch.tanh(self.a(x))))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        Residual(nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4), nn.BatchNorm2d(8)), nn.ReLU(inplace=True),
        nn.Conv2d(8, 12, (3, 2), stride=(1, 2), padding="valid"), nn.GroupNorm(3, 12), nn.SiLU(),
        nn.Conv2d(12, 12, 3, padding=1, padding_mode="reflect", groups=12), nn.Hardswish(),
        nn.Conv2d(12, 8, (3, 1), padding="same"), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES),
    )  # fmt: skip


def hybrid(call_bias: bool = True) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 2, stride=2), LayerNorm2d(8), nn.GELU(),
        Residual(RMSNorm2d(8), Attention(8, 2, 16, call_bias), LayerScale(8)),
        Residual(LayerNorm2d(8), Windows(8), nn.PReLU(), nn.Conv2d(8, 8, 1)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, CLASSES),
    )  # fmt: skip


NETS = {
    "convolutional": convolutional,
    "hybrid": hybrid,
    "bias read behind its back": lambda: hybrid(call_bias=False),
    "tokens": Tokens,
    "tied": Tied,
}


def make(name: str, seed: int = 0) -> nn.Module:
    """A float32 network with random weights everywhere (norms too) and random batch norm statistics."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    net = NETS[name]()
    for tensor in [*net.parameters(), *(b for b in net.buffers() if b.is_floating_point())]:
        tensor.data = torch.rand_like(tensor) + 0.5 if tensor.dim() == 1 else 1.5 * tensor.data
    torch.set_rng_state(state)
    return net


def images(batch: int = 6, size: int = 8, seed: int = 1) -> Tensor:
    """B x 3 x size x size noise."""
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def gated(gate: nn.Module | None = None, classes: int = CLASSES, size: int = 8) -> nn.Module:
    """Two convolutions, each with a gate, and a linear layer, for images of size x size."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), gate or nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.GELU(), nn.Flatten(),
        nn.Linear(5 * (size - 4) ** 2, classes),
    )  # fmt: skip


def value(name: str, x: Tensor, module: nn.Module | None = None, seed: int = 0, **options) -> float:
    """A proxy's score of a network, `gated()` unless another is given."""
    return proxies.get(name)(module or gated(), x, torch.Generator().manual_seed(seed), **options)
