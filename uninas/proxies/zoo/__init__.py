"""The proxies, each a definition in a file of its own, on the contract of `proxies.base`."""

FILES = {
    "vkdnw": "vkdnw",
    "vkdnw_published": "vkdnw",
    "vkdnw_single": "vkdnw",
    "vkdnw_sampled": "vkdnw",
    "params": "counts",
    "macs": "counts",
    "trainable_layers": "counts",
    "naswot": "naswot",
    "jacov": "jacov",
    "zico": "zico",
    "expressivity": "az_nas",
    "progressivity": "az_nas",
    "trainability": "az_nas",
    "complexity": "counts",
    "synflow": "pruning",
    "snip": "pruning",
    "grasp": "pruning",
    "gradnorm": "pruning",
    "zen": "zen",
    "near": "near",
    "swap": "swap",
    "swap_regularised": "swap",
    "meco": "meco",
    "meco_opt": "meco",
    "intrain": "intrain",
    "lswag_gradients": "lswag",
    "lswag": "lswag",
}
"""The file of each proxy, by the proxy's name, which is its name in the file too."""

LOWER_IS_BETTER: frozenset[str] = frozenset()
"""Proxies that say so of themselves (`higher_is_better=False`), known here without importing them."""
