"""Where the parts of a small graph stand: layers from top to bottom, by Sugiyama's method (the library fast-sugiyama).

The library knows vertices of one size only, so what it is asked for is the layer of each vertex and its place from left
to right; heights are added here, a layer as high as its highest vertex.
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

    centres: list[Point]
    """x of the middle and y of the top of each vertex."""
    paths: list[list[Point]]
    """The points that each edge passes on its way, without its ends: (x, y) pairs, one on top of the other where the
    edge passes a layer."""
    width: float
    height: float


def place(
    edges: Sequence[tuple[int, int]],
    heights: Sequence[float],
    width: float,
    gap: float,
    lane: float,
    room: Sequence[tuple[float, float]],
) -> Placed:
    """Lays out a connected acyclic graph whose vertices are 0, 1, ...

    Args:
        edges: (from, to); two of the same pair are two edges.
        heights: of the vertices.
        width: of every vertex, with the space to its neighbours.
        gap: between two layers.
        lane: width of an edge that passes a layer.
        room: what each edge needs besides the gap, where it leaves and where it arrives.

    Raises:
        DrawingError: the layout library is not installed.
    """
    try:
        from fast_sugiyama import from_edges
    except ModuleNotFoundError:
        remedy = 'pip install "uninas-toolkit[report]" (Python 3.11 or later)'
        raise DrawingError(f"drawings need fast-sugiyama, which is not installed: {remedy}") from None
    if not edges:  # one vertex
        return Placed([(width / 2, 0.0)], [], width, heights[0])
    ((positions, _, _, parts),) = from_edges(
        edges, vertex_spacing=width, minimum_length=1, dummy_vertices=True, dummy_size=lane
    )
    spots: dict[int, Point] = {int(node): spot for node, spot in positions}
    layers = sorted({y for _, y in spots.values()}, reverse=True)  # the library's y grows upwards
    depth = {y: layer for layer, y in enumerate(layers)}
    left = min(x - (width if node < len(heights) else lane) / 2 for node, (x, _) in spots.items())
    right = max(x + (width if node < len(heights) else lane) / 2 for node, (x, _) in spots.items())
    tall = [0.0] * len(layers)
    for node, height in enumerate(heights):
        tall[depth[spots[node][1]]] = max(tall[depth[spots[node][1]]], height)
    below, above = [0.0] * len(layers), [0.0] * (len(layers) + 1)
    for (source, target), (leaving, arriving) in zip(edges, room):
        out, into = depth[spots[source][1]], depth[spots[target][1]]
        below[out], above[into] = max(below[out], leaving), max(above[into], arriving)
    tops, top = [], 0.0
    for layer, height in enumerate(tall):
        tops.append(top)
        top += height + gap + below[layer] + above[layer + 1]

    def spot(node: int) -> tuple[float, int]:
        return round(spots[node][0] - left, 1), depth[spots[node][1]]

    centres = []
    for node, height in enumerate(heights):
        x, layer = spot(node)
        centres.append((x, tops[layer] + (tall[layer] - height) / 2))
    paths = []
    for passed in _chains(edges, [(int(a), int(b)) for a, b in parts or ()], len(heights)):
        points: list[Point] = []
        for dummy in passed:
            x, layer = spot(dummy)
            points += [(x, tops[layer]), (x, tops[layer] + tall[layer])]
        paths.append(points)
    return Placed(centres, paths, round(right - left, 1), top - gap)


def _chains(edges: Sequence[tuple[int, int]], parts: Sequence[tuple[int, int]], count: int) -> list[list[int]]:
    """The dummy vertices on each edge; the library splits an edge that passes layers into parts with a dummy between."""
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
