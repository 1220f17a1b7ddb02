"""What this package raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UninasError
from ..search.executors.attempt import NO_MEMORY


class ProfilingError(UninasError):
    """A network that could not be measured on this device with this input."""


@contextmanager
def named_failures(what: str) -> Iterator[None]:
    """What torch raises inside is a ProfilingError; of missing memory it is said what to do.

    Args:
        what: is measured, such as `8 x 3 x 224 x 224 on cuda`.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch raises the first for nearly all that goes wrong in a pass
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if isinstance(error, MemoryError) or NO_MEMORY.search(told):
            raise ProfilingError(f"{what}: out of memory; a smaller --batch or --input-size takes less") from None
        raise ProfilingError(f"{what}: the network cannot run: {told}") from error
