"""What the adaptation of OpenMMLab raises."""

from __future__ import annotations

from ..errors import UninasError


class CompatError(UninasError):
    """The installed OpenMMLab packages cannot do what was asked for on this machine."""
