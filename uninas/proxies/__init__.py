"""Training-free scores of networks.

    >>> from uninas import proxies
    >>> proxies.score(net, ["vkdnw", "macs"], size=64)
    {'vkdnw': Score(value=1.43, failure=None, seconds=2.1), 'macs': Score(value=348180480.0, ...)}

`vkdnw` has options and a result of its own: `uninas.proxies.vkdnw.vkdnw`.
"""

from uninas.proxies.aggregate import AGGREGATES, LogRank, parse
from uninas.proxies.base import Cost, Proxy, Score
from uninas.proxies.failures import ProxyFailure
from uninas.proxies.score import PROXIES, available, get, input_size, noise, score

__all__ = [
    "AGGREGATES",
    "PROXIES",
    "Cost",
    "LogRank",
    "Proxy",
    "ProxyFailure",
    "Score",
    "available",
    "get",
    "input_size",
    "noise",
    "parse",
    "score",
]
