"""Training-free scores of networks.

    >>> from uninas import proxies
    >>> proxies.score(net, ["vkdnw", "macs"], size=64)
    {'vkdnw': Score(value=1.43, failure=None, seconds=2.1), 'macs': Score(value=348180480.0, ...)}

`vkdnw` is here as a function too, with options and a result of its own: score, eigenvalues, Fisher matrix.
"""

from uninas.proxies.aggregate import AGGREGATES, LogRank, SizeTrend, Term, parse, split_names
from uninas.proxies.base import Cost, Proxy, Score
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.fisher import VKDNW, vkdnw
from uninas.proxies.score import PROXIES, available, get, input_size, noise, score

__all__ = [
    "AGGREGATES",
    "PROXIES",
    "VKDNW",
    "Cost",
    "LogRank",
    "Proxy",
    "ProxyFailure",
    "Score",
    "SizeTrend",
    "Term",
    "available",
    "get",
    "input_size",
    "noise",
    "parse",
    "score",
    "split_names",
    "vkdnw",
]
