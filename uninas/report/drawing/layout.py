"""Where the parts of a small graph stand: layers from top to bottom, by Sugiyama's method (the library fast-sugiyama).

The library knows vertices of one size only, so what it is asked for is the layer of each vertex and its place from left
to right. How high layers are, and the gaps between them, is for whoever draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import UninasError

Point = tuple[float, float]


class DrawingError(UninasError):
    """A drawing that cannot be made: a package or a font is missing, or the file cannot be written."""


@dataclass(frozen=True)
class Placed:
    """A laid-out graph."""

    xs: list[float]
    """The middle of each vertex."""
    layers: list[int]
    """Of each vertex, from 0 at the top."""
    passed: list[list[tuple[float, int]]]
    """(x, layer) of the layers that each edge passes between its ends."""
    width: float

    @property
    def depth(self) -> int:
        """Number of layers."""
        return 1 + max(self.layers)

    def heights(self, heights: Sequence[float]) -> list[float]:
        """Of the layers: each as high as its highest vertex."""
        tall = [0.0] * self.depth
        for layer, height in zip(self.layers, heights):
            tall[layer] = max(tall[layer], height)
        return tall


def place(edges: Sequence[tuple[int, int]], count: int, width: float, lane: float) -> Placed:
    """Lays out a connected acyclic graph.

    Args:
        edges: (from, to); two of the same pair are two edges.
        count: vertices, which are 0, 1, ...
        width: of every vertex, with the space to its neighbours.
        lane: width of an edge that passes a layer.

    Raises:
        DrawingError: the layout library is not installed.
    """
    try:
        from fast_sugiyama import from_edges
    except ModuleNotFoundError:
        remedy = 'pip install "uninas-toolkit[report]" (Python 3.11 or later)'
        raise DrawingError(f"drawings need fast-sugiyama, which is not installed: {remedy}") from None
    ((positions, _, _, parts),) = from_edges(
        edges, vertex_spacing=width, minimum_length=1, dummy_vertices=True, dummy_size=lane
    )
    spots: dict[int, Point] = {int(node): spot for node, spot in positions}
    heights = sorted({y for _, y in spots.values()}, reverse=True)  # the library's y grows upwards
    layer = {y: number for number, y in enumerate(heights)}
    sides = {node: (width if node < count else lane) / 2 for node in spots}
    left = min(x - sides[node] for node, (x, _) in spots.items())
    right = max(x + sides[node] for node, (x, _) in spots.items())

    def spot(node: int) -> tuple[float, int]:
        return round(spots[node][0] - left, 1), layer[spots[node][1]]

    xs, layers = zip(*map(spot, range(count)))
    chains = _chains(edges, [(int(a), int(b)) for a, b in parts or ()], count)
    return Placed(list(xs), list(layers), [list(map(spot, chain)) for chain in chains], round(right - left, 1))


def _chains(edges: Sequence[tuple[int, int]], parts: Sequence[tuple[int, int]], count: int) -> list[list[int]]:
    """The dummy vertices on each edge; the library splits an edge that passes layers into parts."""
    onward = {a: b for a, b in parts if a >= count}
    found: dict[tuple[int, int], list[list[int]]] = {}
    for a, b in parts:
        if a < count:
            passed = []
            while b >= count:
                passed.append(b)
                b = onward[b]
            found.setdefault((a, b), []).append(passed)
    return [found[edge].pop(0) for edge in edges]
