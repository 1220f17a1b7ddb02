"""The proxies, each a definition in a file of its own, on the contract of `proxies.base`."""
