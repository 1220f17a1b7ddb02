"""A sub-block in one column: all stacks below one another, wires that pass a stack in lanes at the left.

Half as wide as the layered drawing where a graph branches much, and never wider than its labels and lanes. Wires of one
value share a lane; what it feeds branches off it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .layout import Point
from .panel import Box, Line, Panel, Path, Style, around, curve, numbers
from .stacks import Stacked, Wire


@dataclass
class _Lane:
    """A value on its way down: from a stack to those that it feeds further below."""

    source: int
    port: str
    wires: list[int] = field(default_factory=list)
    """Numbers of wires; the residual's is the number of all others."""
    last: int = 0
    """Place, in the column, of the last stack that it feeds."""
    number: int = 0
    """From 0, the one beside the stacks."""


def lay_out_column(stacked: Stacked, style: Style) -> Panel:
    """Gives every row and wire its place. Rows have no columns of numbers, whatever the style says."""
    order = _order(stacked)
    where = {stack: at for at, stack in enumerate(order)}
    ends = [(wire, 0) for wire in stacked.wires]
    if stacked.shortcut:
        source, target, row = stacked.shortcut
        ends.append((Wire(source, target), row))
    upright, lanes = _routes([wire for wire, _ in ends], where, len(stacked.wires))
    pitch = style.number if any(wire.port or wire.entry for wire, _ in ends) else 0.5 * style.font
    slots = _slots(stacked, ends, lanes)

    width = max(max((style.text(row.label) for row in stacked.rows), default=0) + 0.8 * style.font, 3 * style.font)
    numbered = any(ends[i][0].entry or lane.port for lane in lanes for i in lane.wires)
    step = 0.5 * style.font
    count = 1 + max((lane.number for lane in lanes), default=-1)
    beside = step * count + (1.5 if numbered else 0.9) * style.font if count else 0.0
    heights = {end: pitch * len(found) + 1 for end, found in slots.items()}
    boxes = _boxes(stacked, order, [stacked.wires[i] for i in upright], heights, beside + width / 2, width, style)
    sides = {
        end: _side(boxes[stack], row, pitch * (place - (len(found) - 1) / 2))
        for (stack, row), found in slots.items()
        for place, end in enumerate(found)
    }
    paths: dict[int, Path] = {i: _upright(stacked.wires[i], boxes, style) for i in upright}
    for lane in lanes:
        x = step * (count - lane.number - 0.5)
        for i in lane.wires:
            first = i == lane.wires[0]
            paths[i] = _aside(ends[i][0], x, sides[lane.source, lane.port], sides[i], first, style)
    bottom = boxes[order[-1]]
    return Panel(
        round(beside + width, 1),
        round(bottom.y + bottom.height, 1),
        tuple(boxes[stack] for stack in range(len(order))),
        tuple(paths[i] for i in range(len(ends))),
    )


def _boxes(
    stacked: Stacked,
    order: Sequence[int],
    upright: Sequence[Wire],
    heights: Mapping[tuple[int, int], float],
    middle: float,
    width: float,
    style: Style,
) -> dict[int, Box]:
    """The stacks below one another.

    Args:
        upright: wires that go straight down; with numbers at their ends, they need a wider gap.
        heights: what rows need beside them, by stack and row, where more than a row is high.
        middle: of all stacks, from the left.
    """
    boxes: dict[int, Box] = {}
    dot, y = 0.7 * style.font, 0.0
    for stack in order:
        into = [wire for wire in upright if wire.target == stack]
        if boxes:
            y += style.gap if into else 0.6 * style.gap
            y += style.label * any(wire.entry for wire in into)
        lines, height = [], 0.0
        for index, row in enumerate(stacked.stacks[stack].rows):
            tall = round(max(style.row, heights.get((stack, index), 0)), 1)
            lines.append(Line(row, round(height, 1), (), tall))
            height += tall
        side, height = (width, height) if lines else (dot, dot)
        boxes[stack] = Box(*(round(of, 1) for of in (middle - side / 2, y, side, height)), lines=tuple(lines))
        y += height + style.label * any(wire.port for wire in upright if wire.source == stack)
    return boxes


def _order(stacked: Stacked) -> list[int]:
    """Stacks from top to bottom: sources before what they feed, a branch to its end before the next."""
    missing = dict.fromkeys(range(len(stacked.stacks)), 0)
    for wire in stacked.wires:
        missing[wire.target] += 1
    ready, order = [0], []
    while ready:
        stack = ready.pop()
        order.append(stack)
        for wire in reversed([wire for wire in stacked.wires if wire.source == stack]):
            missing[wire.target] -= 1
            if not missing[wire.target]:
                ready.append(wire.target)
    return order


def _routes(wires: Sequence[Wire], where: dict[int, int], straight: int) -> tuple[list[int], list[_Lane]]:
    """Numbers of the wires that go straight down, one between neighbours, and lanes of all others.

    Args:
        where: places of the stacks in the column.
        straight: how many of the wires may go straight down, from the first.
    """
    upright: list[int] = []
    taken: set[int] = set()
    lanes: dict[tuple[int, str], _Lane] = {}
    for i, wire in enumerate(wires):
        if i < straight and where[wire.target] == where[wire.source] + 1 and wire.source not in taken:
            taken.add(wire.source)
            upright.append(i)
            continue
        lane = lanes.setdefault((wire.source, wire.port), _Lane(wire.source, wire.port))
        lane.wires.append(i)
        lane.last = max(lane.last, where[wire.target])
    placed: list[list[_Lane]] = []
    for lane in sorted(lanes.values(), key=lambda lane: (lane.last - where[lane.source], where[lane.source])):
        free = (
            number
            for number, there in enumerate(placed)
            if all(where[lane.source] > other.last or lane.last < where[other.source] for other in there)
        )
        lane.number = next(free, len(placed))
        if lane.number == len(placed):
            placed.append([])
        placed[lane.number].append(lane)
    return upright, list(lanes.values())


End = int | tuple[int, str]
"""Of a lane: the number of a wire that reaches a row, or the stack and output that a value leaves."""


def _slots(
    stacked: Stacked, ends: Sequence[tuple[Wire, int]], lanes: Sequence[_Lane]
) -> dict[tuple[int, int], list[End]]:
    """What reaches and then what leaves the left side of a row, from top to bottom, by stack and row.

    Args:
        ends: each wire with the row that it reaches.
    """
    found: dict[tuple[int, int], list[End]] = {}
    near = sorted(lanes, key=lambda lane: lane.number)
    for lane in near:  # the order in which lanes do not cross
        for i in lane.wires:
            found.setdefault((ends[i][0].target, ends[i][1]), []).append(i)
    for lane in reversed(near):
        last = max(0, len(stacked.stacks[lane.source].rows) - 1)
        found.setdefault((lane.source, last), []).append((lane.source, lane.port))
    return found


def _side(box: Box, row: int, offset: float) -> Point:
    """A point at the left side, so far below the middle of a row."""
    if not box.lines:
        return box.x, box.y + box.height / 2 + offset
    line = box.lines[row]
    return box.x, box.y + line.y + line.height / 2 + offset


def _upright(wire: Wire, boxes: dict[int, Box], style: Style) -> Path:
    source, target = boxes[wire.source], boxes[wire.target]
    x, start = source.x + source.width / 2, source.y + source.height
    labels = []
    if wire.port:
        labels.append((x - style.font * 0.95, start + style.label + 1, wire.port))
    if wire.entry:
        labels.append((x - style.font * 0.95, target.y - style.font * 0.2, wire.entry))
    return Path(curve([(x, start), (x, target.y)]), (x, target.y), numbers(labels))


def _aside(wire: Wire, x: float, start: Point, end: Point, first: bool, style: Style) -> Path:
    """Out of the side of a stack, down the lane at x, and into the side of a row below."""
    number = 0.65 * style.font
    labels, out, arrive = [], start[0], end[0]
    if wire.port:
        out -= number
        if first:
            labels.append((out + 0.1 * style.font, start[1] + 0.33 * style.small, wire.port))
    if wire.entry:
        arrive -= 0.5 * style.font + number
        labels.append((arrive + 0.1 * style.font, end[1] + 0.33 * style.small, wire.entry))
    d = around((out, start[1]), x, (arrive, end[1]), 0.4 * style.font)
    return Path(d, end, numbers(labels), aside=True)
