"""The proxies by name. What computes one, and torch with it, is imported when it is looked up: who asks for names, or
for what an aggregate is made of, needs neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from uninas.errors import ProxyError, nearest
from uninas.proxies.zoo import FILES, LOWER_IS_BETTER

if TYPE_CHECKING:
    from uninas.proxies.base import Proxy


class Registry(Mapping[str, "Proxy"]):
    """Names, known at once, and the proxies behind them."""

    def __getitem__(self, name: str) -> Proxy:
        return getattr(import_module(f"uninas.proxies.zoo.{FILES[name]}"), name)

    def __iter__(self) -> Iterator[str]:
        return iter(FILES)

    def __len__(self) -> int:
        return len(FILES)

    def __contains__(self, name: object) -> bool:
        return name in FILES


PROXIES = Registry()


def available() -> tuple[str, ...]:
    """Names of all proxies."""
    return tuple(PROXIES)


def get(name: str) -> Proxy:
    """The proxy of that name.

    Raises:
        ProxyError: there is none.
    """
    if name not in PROXIES:
        raise ProxyError(f"there is no proxy {name!r}; {nearest(name, PROXIES)}")
    return PROXIES[name]


def sign_of(name: str) -> int:
    """1 for a proxy of which higher is better, and for what is no proxy; -1 for the others."""
    return -1 if name in LOWER_IS_BETTER else 1
