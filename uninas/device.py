"""What scores are computed on, as torch calls it: cpu, cuda, cuda:1."""

from __future__ import annotations

from collections.abc import Callable

from .errors import UninasError


def usable(device: str) -> str:
    """`device`, if torch can compute on it here, in double precision too.

    Raises:
        UninasError: it cannot; the message says why.
    """
    import torch

    try:
        torch.ones(1, dtype=torch.float64, device=device).item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:  # as many kinds as reasons
        reason = str(error).partition(". ")[0]
        reason = "write cpu, cuda or cuda:1" if reason.startswith("Expected one of") else reason
        raise UninasError(f"device {device!r} cannot be used: {reason}") from None
    return device


def synchronizer(device: str) -> Callable[[], None]:
    """A function that waits until the device has done what it was given; a CPU always has."""
    import torch

    if torch.device(device).type == "cpu":
        return lambda: None
    return lambda: torch.accelerator.synchronize(device)
