"""What the training bridge raises for bad input."""

from __future__ import annotations

from ..errors import UninasError


class EngineError(UninasError):
    """Training cannot be set up or continued: a missing package, a bad setting, a checkpoint that does not fit."""


class ProtocolError(EngineError):
    """A training protocol that is unknown or not valid."""

    exit_code = 2


class DataError(EngineError):
    """A data set that is missing, broken, or not the one that the settings describe."""

    exit_code = 2


class ExportError(UninasError):
    """A network that cannot be written in the asked-for form."""

    exit_code = 2
