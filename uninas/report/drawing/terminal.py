"""A network in box characters: each distinct sub-block as boxes of operations with the lines between them.

Outputs of an operation with several, and inputs whose order matters, have their numbers where lines begin and end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ...genotype import Genotype, SubBlock
from ...ops import Size
from .labels import subblock_labels
from .layout import Placed, place
from .stacks import Stacked, stack_subblock

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
LINES = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"
"""By the sum of the directions in which a line leaves a cell."""


class Canvas:
    """Cells of lines, which join where they meet, under texts."""

    def __init__(self) -> None:
        self.lines: dict[tuple[int, int], int] = {}
        self.texts: dict[tuple[int, int], str] = {}

    def down(self, x: int, top: int, bottom: int) -> None:
        """A line from one row to another, from the middle of each."""
        for y in range(top, bottom):
            self._join((x, y), DOWN)
            self._join((x, y + 1), UP)

    def across(self, y: int, left: int, right: int) -> None:
        """A line from one column to another."""
        for x in range(min(left, right), max(left, right)):
            self._join((x, y), RIGHT)
            self._join((x + 1, y), LEFT)

    def box(self, x: int, y: int, width: int, height: int) -> None:
        """A frame."""
        for line in (y, y + height - 1):
            self.across(line, x, x + width - 1)
        for column in (x, x + width - 1):
            self.down(column, y, y + height - 1)

    def text(self, x: int, y: int, text: str) -> None:
        for offset, letter in enumerate(text):
            self.texts[x + offset, y] = letter

    def _join(self, cell: tuple[int, int], direction: int) -> None:
        self.lines[cell] = self.lines.get(cell, 0) | direction

    def __str__(self) -> str:
        cells = self.lines.keys() | self.texts.keys()
        width, height = (max((cell[axis] for cell in cells), default=-1) + 1 for axis in (0, 1))
        rows = (
            "".join(self.texts.get((x, y)) or LINES[self.lines.get((x, y), 0)] for x in range(width))
            for y in range(height)
        )
        return "\n".join(row.rstrip() for row in rows)


def draw_lines(genotype: Genotype, size: Size) -> Iterator[tuple[str, str]]:
    """(letter, drawing) of each distinct sub-block, in order of appearance.

    Args:
        size: height and width of the image.

    Raises:
        DrawingError: the layout library is not installed.
    """
    letters = subblock_labels(genotype)
    drawn = set()
    for (i, _, _), sub in genotype.subblocks:
        letter = letters[tuple(sub.signature)]
        if letter not in drawn:
            drawn.add(letter)
            yield letter, draw_subblock(sub, genotype.stages[i].width, size)


def draw_subblock(sub: SubBlock, width: int, size: Size) -> str:
    """One sub-block; the residual runs down the left side."""
    return _draw(stack_subblock(sub, width, size))


def _draw(stacked: Stacked) -> str:
    inner = max((len(row.label) for row in stacked.rows), default=1)
    inner += 1 - inner % 2  # a box has a middle
    half = inner // 2 + 2
    edges = [(wire.source, wire.target) for wire in stacked.wires]
    heights = [len(stack.rows) + 2 if stack.rows else 1 for stack in stacked.stacks]
    placed = place(edges, len(heights), 2 * half + 2, 3)
    margin = 3 if stacked.shortcut else 0
    middles = [margin + round(x) for x in placed.xs]
    courses = _courses(edges, placed, middles, margin)
    tracks = [_tracks([course[layer] for course in courses if layer in course]) for layer in range(placed.depth)]
    tall = [round(height) for height in placed.heights(heights)]
    tops, top = [], 0
    for layer, height in enumerate(tall):
        tops.append(top)
        top += height + max([1, *(track + 2 for track in tracks[layer].values())])
    firsts = [tops[layer] + (tall[layer] - height) // 2 for layer, height in zip(placed.layers, heights)]
    canvas = Canvas()
    for stack, x, y, height in zip(stacked.stacks, middles, firsts, heights):
        if stack.rows:
            canvas.box(x - half, y, 2 * half + 1, height)
        else:
            canvas.text(x, y, "o")
        for row, found in enumerate(stack.rows, 1):
            canvas.text(x - half + 2, y + row, found.label.center(inner))
    for wire, course in zip(stacked.wires, courses):
        source, target = wire.source, wire.target
        y = firsts[source] + heights[source] - 1
        for layer, (start, end) in sorted(course.items()):
            turn = tops[layer] + tall[layer] + tracks[layer].get((start, end), 0)
            below = firsts[target] if layer + 1 == placed.layers[target] else tops[layer + 1]
            canvas.down(start, y, turn)
            canvas.across(turn, start, end)
            canvas.down(end, turn, below)
            y = below
        canvas.text(course[placed.layers[source]][0], firsts[source] + heights[source] - 1, wire.port)
        if stacked.stacks[target].rows:
            end = course[placed.layers[target] - 1][1]
            canvas.text(end - len(wire.entry), firsts[target], f"{wire.entry}▼")
    if stacked.shortcut:
        source, target, row = stacked.shortcut
        y = firsts[target] + 1 + row
        canvas.across(firsts[source], 0, middles[source])
        canvas.down(0, firsts[source], y)
        canvas.across(y, 0, middles[target] - half - 1)
        canvas.text(middles[target] - half - 1, y, "►")
    return str(canvas)


Course = dict[int, tuple[int, int]]
"""Columns in which a wire leaves a layer and reaches the next one, by the layer that it leaves."""


def _courses(edges: list[tuple[int, int]], placed: Placed, middles: list[int], margin: int) -> list[Course]:
    """Each wire from layer to layer. Where several leave or reach a box they do so side by side, the left one left."""
    columns = [[margin + round(x) for x, _ in path] for path in placed.passed]

    def beside(box: int, end: int) -> dict[int, int]:
        """Columns of the wires at a box; end 0 are those that leave it, end 1 those that reach it."""
        found = [i for i, edge in enumerate(edges) if edge[end] == box]
        found.sort(key=lambda i: columns[i][-end] if columns[i] else middles[edges[i][1 - end]])
        return {i: middles[box] + 3 * place - 3 * (len(found) - 1) // 2 for place, i in enumerate(found)}

    starts = {i: x for box in range(len(middles)) for i, x in beside(box, 0).items()}
    ends = {i: x for box in range(len(middles)) for i, x in beside(box, 1).items()}
    courses = []
    for i, (source, _) in enumerate(edges):
        stops = [starts[i], *columns[i], ends[i]]
        courses.append({placed.layers[source] + step: pair for step, pair in enumerate(pairwise(stops))})
    return courses


def _tracks(bends: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A row below a layer for each wire that changes its column there, so that no two run along each other."""
    found: dict[tuple[int, int], int] = {}
    for start, end in sorted(
        {bend for bend in bends if bend[0] != bend[1]}, key=lambda bend: (bend[1] < bend[0], -bend[0])
    ):
        low, high = sorted((start, end))
        taken = {track for (a, b), track in found.items() if min(a, b) <= high and max(a, b) >= low}
        found[start, end] = next(track for track in range(len(bends) + 1) if track not in taken)
    return found
