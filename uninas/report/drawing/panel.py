"""A sub-block with coordinates: stacks of rows, wires as paths, the residual in a lane at the left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...units import format_count
from .layout import Placed, Point, place
from .stacks import Row, Stacked


@dataclass(frozen=True)
class Style:
    """Sizes in units of the drawing. `detailed` rows hold channels, parameters and MACs beside the label."""

    font: float
    row: float
    gap: float
    """Between two layers of stacks."""
    detailed: bool

    @property
    def letter(self) -> float:
        """Width of a letter, on average in a label."""
        return 0.53 * self.font

    @property
    def small(self) -> float:
        """Font size of the numbers of outputs and inputs."""
        return 0.925 * self.font

    @property
    def label(self) -> float:
        """Height of the number of an output or an input."""
        return 0.75 * self.font

    @property
    def number(self) -> float:
        """From one such number to another below it."""
        return 0.85 * self.font

    def text(self, label: str) -> float:
        """Width of a text."""
        return self.letter * len(label)


COMPACT = Style(font=8, row=10.5, gap=9, detailed=False)
DETAILED = Style(font=11, row=18, gap=16, detailed=True)


@dataclass(frozen=True)
class Line:
    """A row in place; x and y of its top left corner, ends of its columns against the left of the stack."""

    row: Row
    y: float
    columns: tuple[tuple[float, str], ...]
    """(right end, text)."""
    height: float


@dataclass(frozen=True)
class Box:
    """A stack in place."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Path:
    """A wire: an SVG path, where its arrow points to, and the numbers of the output and the input at its ends."""

    d: str
    tip: Point
    labels: tuple[tuple[str, str, str], ...] = ()
    """(x, y, text)."""
    aside: bool = False
    """Whether it reaches the left side of a stack, not its top."""


@dataclass(frozen=True)
class Panel:
    """A laid-out sub-block."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    """Stacks; those without lines are the ends."""
    paths: tuple[Path, ...]
    """In the order of the wires, the residual last."""


def lay_out(stacked: Stacked, style: Style) -> Panel:
    """Gives every row and wire its place."""
    labels = max((style.text(row.label) for row in stacked.rows), default=0) + 0.8 * style.font
    columns = _columns(stacked.rows, style)
    width = max(labels + sum(columns) + (0.5 * style.font if columns else 0), 3 * style.font)
    dot = style.font * 0.7
    heights = [style.row * len(stack.rows) or dot for stack in stacked.stacks]
    edges = [(wire.source, wire.target) for wire in stacked.wires]
    placed = place(edges, len(heights), width + 0.6 * style.font, 0.7 * style.font)
    tops, tall = _layers(stacked, placed, heights, style)
    lane = style.font if stacked.shortcut else 0.0
    boxes = []
    for stack, x, layer, height in zip(stacked.stacks, placed.xs, placed.layers, heights):
        y = tops[layer] + (tall[layer] - height) / 2
        left = round(x + lane - width / 2, 1)
        lines = []
        for index, row in enumerate(stack.rows):
            ends = [labels + sum(columns[: i + 1]) for i in range(len(columns))]
            texts = (row.output, _count(row.params), _count(row.macs)) if columns else ()
            lines.append(
                Line(row, round(index * style.row, 1), tuple(zip((round(end, 1) for end in ends), texts)), style.row)
            )
        box_width = round(width if stack.rows else dot, 1)
        left = left if stack.rows else round(x + lane - dot / 2, 1)
        boxes.append(Box(left, round(y, 1), box_width, height, tuple(lines)))
    routes = [[(x + lane, y) for x, at in path for y in (tops[at], tops[at] + tall[at])] for path in placed.passed]
    paths = _paths(stacked, boxes, routes, style) + _residual(stacked, boxes, style)
    return Panel(round(placed.width + lane, 1), round(tops[-1] + tall[-1], 1), tuple(boxes), paths)


def _columns(rows: list[Row], style: Style) -> list[float]:
    """Widths of the columns behind the label: output, parameters, MACs."""
    if not style.detailed or not rows:
        return []
    texts = [(row.output, _count(row.params), _count(row.macs)) for row in rows]
    return [max(map(style.text, column)) + style.font for column in zip(*texts)]


def _count(number: int) -> str:
    return format_count(number) if number else ""


def _layers(stacked: Stacked, placed: Placed, heights: list[float], style: Style) -> tuple[list[float], list[float]]:
    """Tops and heights of the layers; gaps are wider where wires have numbers at their ends."""
    tall = placed.heights(heights)
    below, above = [0.0] * placed.depth, [0.0] * (placed.depth + 1)
    for wire in stacked.wires:
        if wire.port:
            below[placed.layers[wire.source]] = style.label
        if wire.entry:
            above[placed.layers[wire.target]] = style.label
    tops, top = [], 0.0
    for layer, height in enumerate(tall):
        tops.append(top)
        top += height + style.gap + below[layer] + above[layer + 1]
    return tops, tall


def _paths(stacked: Stacked, boxes: list[Box], routes: list[list[Point]], style: Style) -> tuple[Path, ...]:
    """The wires, spread out where several leave or reach a stack, so that the left one stays left.

    Args:
        routes: the points of each wire between its ends.
    """

    def middle(number: int) -> float:
        return boxes[number].x + boxes[number].width / 2

    starts: dict[int, float] = {}
    ends: dict[int, float] = {}
    for number, box in enumerate(boxes):
        leaving = [i for i, wire in enumerate(stacked.wires) if wire.source == number]
        leaving.sort(key=lambda i: routes[i][0][0] if routes[i] else middle(stacked.wires[i].target))
        reaching = [i for i, wire in enumerate(stacked.wires) if wire.target == number]
        reaching.sort(key=lambda i: routes[i][-1][0] if routes[i] else middle(stacked.wires[i].source))
        for found, where in ((leaving, starts), (reaching, ends)):
            step = min(1.6 * style.font, box.width / (len(found) + 1)) if box.lines else 0.0
            for place_, i in enumerate(found):
                where[i] = middle(number) + step * (place_ - (len(found) - 1) / 2)
    paths = []
    for i, wire in enumerate(stacked.wires):
        source, target = boxes[wire.source], boxes[wire.target]
        points = [(starts[i], source.y + source.height), *routes[i], (ends[i], target.y)]
        labels = []
        if wire.port:  # upright for as long as its label is high
            points.insert(1, (points[0][0], points[0][1] + style.label))
            labels.append((points[0][0] - style.font * 0.65, points[1][1], wire.port))
        if wire.entry:
            points.insert(-1, (points[-1][0], points[-1][1] - style.label))
            labels.append((points[-1][0] - style.font * 0.85, points[-1][1] - style.font * 0.2, wire.entry))
        paths.append(Path(curve(points), points[-1], numbers(labels)))
    return tuple(paths)


def curve(points: list[Point]) -> str:
    """A line that leaves and enters every layer upright."""
    text = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for (x0, y0), (x1, y1) in pairwise(points):
        if abs(x0 - x1) < 0.5:
            text += f"L{_n(x1)} {_n(y1)}"
        else:
            half = (y0 + y1) / 2
            text += f"C{_n(x0)} {_n(half)} {_n(x1)} {_n(half)} {_n(x1)} {_n(y1)}"
    return text


def _residual(stacked: Stacked, boxes: list[Box], style: Style) -> tuple[Path, ...]:
    """Out of the input to the left, down, and into the side of the sum."""
    if not stacked.shortcut:
        return ()
    start, end, row = stacked.shortcut
    source, target = boxes[start], boxes[end]
    top, bottom = source.y + source.height / 2, target.y + (row + 0.5) * style.row
    d = around((source.x, top), style.font * 0.4, (target.x, bottom), style.font * 0.5)
    return (Path(d, (target.x, bottom), aside=True),)


def around(start: Point, x: float, end: Point, radius: float) -> str:
    """A line to the left, down at x, and back to the right."""
    (left, top), (right, bottom) = start, end
    corners = (
        f"H{_n(x + radius)}Q{_n(x)} {_n(top)} {_n(x)} {_n(top + radius)}",
        f"V{_n(bottom - radius)}Q{_n(x)} {_n(bottom)} {_n(x + radius)} {_n(bottom)}",
    )
    return f"M{_n(left)} {_n(top)}{''.join(corners)}H{_n(right)}"


def numbers(labels: Sequence[tuple[float, float, str]]) -> tuple[tuple[str, str, str], ...]:
    """The numbers at the ends of a wire, each (x, y, text)."""
    return tuple((_n(x), _n(y), text) for x, y, text in labels)


def _n(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".removesuffix(".0")
