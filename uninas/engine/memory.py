"""Memory that tensors on the CPU have freed is kept for the next ones.

glibc takes every block above 32 MiB from the kernel and gives it back when it is freed. A training step frees and asks
for the same activations again and again, and the kernel clears each page anew: up to a third of the time of training on
32 x 32 images, beside other work on two cores, went there.
"""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Parameters of mallopt(3)."""


def keep_freed_memory() -> bool:
    """Has this process keep up to 2 GiB of freed memory, and take larger blocks from there, too.

    Returns whether it does: nothing changes where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = {MMAP_THRESHOLD: 1 << 30, TRIM_THRESHOLD: (1 << 31) - 1, TOP_PAD: 64 << 20}
    taken = [mallopt(parameter, value) == 1 for parameter, value in wanted.items()]
    return all(taken)
