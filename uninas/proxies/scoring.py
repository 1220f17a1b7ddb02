"""Scoring a network by any of the proxies."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from uninas.proxies.base import Proxy, Score
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.registry import get


def score(
    net: nn.Module,
    proxies: Iterable[str] = ("vkdnw", "naswot"),
    x: Tensor | None = None,
    seed: int = 0,
    *,
    size: int | tuple[int, int] | None = None,
    batch: int = 64,
    labels: Tensor | None = None,
    blocks: Sequence[nn.Module] | None = None,
) -> dict[str, Score]:
    """Scores of one network by several proxies; the failure of one does not stop the others.

    The same (net, x, seed) gives the same values, whatever other proxies are asked for and in whatever order.

    Args:
        net: B x C_in x H x W -> B x C logits, with the weights to be scored. It is handed back as it was.
        proxies: names; see `available`.
        x: B x C_in x H x W; None draws B = `batch` images of standard normal noise.
        seed: of that noise and of what the proxies draw (labels, signs, weights).
        size: height and width of the noise images in pixels; None takes `input_size(net)`.
        labels: B integers for the proxies that use labels; None draws them.
        blocks: the modules whose outputs AZ-NAS's proxies compare; None finds them, see `blocks.find_blocks`.

    Raises:
        ProxyError: an unknown name.
    """
    chosen = [get(name) for name in proxies]
    if x is None:
        x = noise(net, batch, size if size is not None else input_size(net), seed)
    options = {name: value for name, value in (("labels", labels), ("blocks", blocks)) if value is not None}
    done: dict[str, _Measured] = {}
    return {proxy.name: _score(proxy, net, x, seed, options, done) for proxy in chosen}


def noise(net: nn.Module, batch: int, size: int | tuple[int, int], seed: int) -> Tensor:
    """B x C_in x H x W standard normal numbers, of the dtype and device of `net`; C_in is its first convolution's."""
    height, width = (size, size) if isinstance(size, int) else size
    channels = next((m.in_channels for m in net.modules() if isinstance(m, nn.Conv2d)), 3)
    x = torch.randn(batch, channels, height, width, generator=_generator(seed, "input"))
    return x.to(next(net.parameters(), x))


def input_size(net: nn.Module) -> int | tuple[int, int]:
    """Height and width that `net` is tied to, as timm's transformers are to `patch_embed.img_size`; else 64."""
    return getattr(getattr(net, "patch_embed", None), "img_size", None) or 64


@dataclass(frozen=True)
class _Measured:
    """What one run of a network gave: a result, or a failure."""

    result: Any
    failure: str | None
    seconds: float


def _score(proxy: Proxy, net: nn.Module, x: Tensor, seed: int, options: dict, done: dict[str, _Measured]) -> Score:
    base = proxy
    while base.of is not None:
        base = base.of
    if base.name not in done:
        start = time.perf_counter()
        result, failure = None, None
        try:
            result = base.measure(net, x, _generator(seed, base.name), **options)
        except ProxyFailure as error:
            failure = str(error)
        done[base.name] = _Measured(result, failure, time.perf_counter() - start)
    measured = done[base.name]
    if measured.failure is not None:
        return Score(None, measured.failure, measured.seconds)
    try:
        return Score(proxy.value(net, measured.result), None, measured.seconds)
    except ProxyFailure as error:
        return Score(None, str(error), measured.seconds)


def _generator(seed: int, purpose: str) -> torch.Generator:
    """One generator a purpose, so that no draw depends on what else is drawn."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
