"""Rectangles on a page, from the top, nearly in the order in which they are given."""

from __future__ import annotations

import math
from collections.abc import Sequence

LOOK_AHEAD = (2, 3, 4, 6, 8)
"""Of how many rectangles, in their order, the one that fits best may come next: what is tried."""

Placed = tuple[int, int, float]
"""Number of a rectangle, x and y of its top left corner."""


def pack(
    sizes: Sequence[tuple[float, float]], width: float, heights: tuple[float, float] = (math.inf, math.inf)
) -> list[list[Placed]]:
    """Pages of rectangles: as few as can be, then as low as can be.

    Args:
        sizes: width and height of each, with the space to its neighbours.
        width: of a page.
        heights: of the first page and of all others. A rectangle that is higher than that has a page all the same.
    """

    def room(pages: list[list[Placed]]) -> tuple[int, float]:
        return len(pages), sum(max((y + sizes[i][1] for i, _, y in page), default=0) for page in pages)

    return min((_pages(sizes, width, heights, ahead) for ahead in LOOK_AHEAD), key=room)


def _pages(
    sizes: Sequence[tuple[float, float]], width: float, heights: tuple[float, float], ahead: int
) -> list[list[Placed]]:
    waiting, pages = list(range(len(sizes))), []
    while waiting:
        must = bool(pages) and sizes[waiting[0]][1] > heights[1]
        pages.append(_page(sizes, waiting, width, heights[bool(pages)], ahead, must))
    return pages


def _page(
    sizes: Sequence[tuple[float, float]], waiting: list[int], width: float, height: float, ahead: int, must: bool
) -> list[Placed]:
    """Each at the highest place that is free, until none of the next ones fits; takes them out of `waiting`.

    Args:
        must: place one, even where none fits.
    """
    skyline = [0.0] * int(width)
    placed: list[Placed] = []
    passed_over = 0
    while waiting:
        near = waiting[:1] if passed_over == ahead else waiting[:ahead]
        spots = [(*_free(skyline, math.ceil(sizes[i][0])), i) for i in near]
        spots = [spot for spot in spots if spot[0] + sizes[spot[2]][1] <= height or (must and not placed)]
        if not spots:
            break
        top, x, chosen = min(spots)
        passed_over = passed_over + 1 if chosen != waiting[0] else 0
        waiting.remove(chosen)
        covered = min(math.ceil(sizes[chosen][0]), len(skyline) - x)
        skyline[x : x + covered] = [top + sizes[chosen][1]] * covered
        placed.append((chosen, x, top))
    return placed


def _free(skyline: Sequence[float], width: int) -> tuple[float, int]:
    """(y, x) of the highest place below the skyline, then the leftmost: it begins where the skyline steps."""
    last = max(0, len(skyline) - width)
    starts = [0, *(x for x in range(1, last + 1) if skyline[x] != skyline[x - 1])]
    return min((max(skyline[start : start + width]), start) for start in starts)
