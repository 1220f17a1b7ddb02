"""What conversions raise."""

from __future__ import annotations

from ..errors import UninasError


class ConvertError(UninasError):
    """A file that is not of the authors' format, or a network that one of the two formats cannot hold.

    Args:
        message: what is wrong and what to do instead.
        path: where, such as `model_str[0][1].subblock1.modules[3]` or `stages[2].blocks[0].subblocks[1]`.
    """

    exit_code = 2

    def __init__(self, message: str, path: str = "") -> None:
        self.message, self.path = message, path
        super().__init__(f"{path}: {message}" if path else message)

    def under(self, prefix: str) -> ConvertError:
        """The same error seen from one level further out."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return ConvertError(self.message, f"{prefix}{joint}{self.path}")
