"""What flows along an edge: a feature map with a channel count on a symbolic grid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

Size = tuple[int, int]
"""Height and width of the FULL grid, in positions."""


class Grid(str, Enum):
    """The spatial extent of a value; real sizes are known only when a network runs or a cost is asked for."""

    FULL = "full"
    """H x W: the feature map of the block."""
    POINT = "point"
    """1 x 1: what global pooling leaves."""
    PAIR = "pair"
    """HW x HW: one affinity for every query and key position; its channels are attention heads."""

    def extent(self, size: Size) -> Size:
        """Height and width of this grid when FULL is `size`."""
        height, width = size
        if self is Grid.FULL:
            return height, width
        if self is Grid.POINT:
            return 1, 1
        return height * width, height * width


@dataclass(frozen=True)
class Value:
    """A feature map of shape B x channels x grid."""

    channels: int
    grid: Grid = Grid.FULL

    def positions(self, size: Size) -> int:
        """Number of grid positions when FULL is `size`."""
        height, width = self.grid.extent(size)
        return height * width

    def __str__(self) -> str:
        return f"{self.channels} channels on the {self.grid.value} grid"
