"""What exports raise."""

from __future__ import annotations

from ..engine.errors import ExportError


class DynamicError(ExportError):
    """A dimension that was asked to be free and cannot be; names the operation, and what to do instead."""


class FormatError(ExportError):
    """A network that a format cannot hold; names the operation where it is known."""


class DifferenceError(ExportError):
    """What was exported computes something else than the network; nothing was written."""

    exit_code = 1


__all__ = ["DifferenceError", "DynamicError", "ExportError", "FormatError"]
