"""Training-free scores of networks.

    >>> from uninas import proxies
    >>> proxies.score(net, ["vkdnw", "macs"], size=64)
    {'vkdnw': Score(value=1.43, failure=None, seconds=2.1), 'macs': Score(value=348180480.0, ...)}

`vkdnw` is here as a function too, with options and a result of its own: score, eigenvalues, Fisher matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uninas.lazy import lazily
from uninas.proxies.aggregate import (
    AGGREGATES,
    SCALES,
    RankSum,
    SizeTrend,
    Term,
    log_share,
    parse,
    split_names,
    written,
)
from uninas.proxies.registry import PROXIES, available, get, sign_of

if TYPE_CHECKING:
    from uninas.proxies.base import Cost, Proxy, Score
    from uninas.proxies.failures import ProxyFailure
    from uninas.proxies.fisher import VKDNW, vkdnw
    from uninas.proxies.scoring import input_size, noise, score

__all__ = [
    "AGGREGATES",
    "PROXIES",
    "SCALES",
    "VKDNW",
    "Cost",
    "Proxy",
    "ProxyFailure",
    "RankSum",
    "Score",
    "SizeTrend",
    "Term",
    "available",
    "get",
    "input_size",
    "log_share",
    "noise",
    "parse",
    "score",
    "sign_of",
    "split_names",
    "vkdnw",
    "written",
]

__getattr__ = lazily(
    __name__,
    {
        "base": ("Cost", "Proxy", "Score"),
        "failures": ("ProxyFailure",),
        "fisher": ("VKDNW", "vkdnw"),
        "scoring": ("input_size", "noise", "score"),
    },
)
