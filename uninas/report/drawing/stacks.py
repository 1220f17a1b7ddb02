"""A sub-block as stacks of rows and the wires between them: what a drawing shows, before it has coordinates.

Operations that follow one another without a branch are one stack, as papers draw `conv, BN, GELU`. The frame is part of
it: norm, downsampling, residual (with its shortcut layers) and the activation behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...genotype import INPUT, OUTPUT, BlockGraph, Downsample, Ref, SubBlock
from ...ops import Grid, Size, Value
from ...ops.layers import Layer, size_behind
from .labels import layer_label, layer_op, op_kind, op_label

GRIDS = {Grid.FULL: "", Grid.POINT: " · 1×1", Grid.PAIR: " · N×N"}
"""How a grid is written behind a channel count; N is the number of positions."""


@dataclass(frozen=True)
class Row:
    """One operation. params in scalars, MACs of one image; channels and grid are those of what it puts out."""

    label: str
    kind: str
    channels: int
    grid: Grid
    params: int
    macs: int
    node: str | None = None
    """Its id in the block graph; None for what belongs to the frame."""
    detail: str = ""
    """The operation with all its attributes."""

    @property
    def output(self) -> str:
        return f"{self.channels}{GRIDS[self.grid]}"


@dataclass
class Stack:
    """Rows one behind the other; one without rows is where values come in or go out."""

    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Wire:
    """From one stack to another, by their numbers."""

    source: int
    target: int
    port: str = ""
    """Which output of a node with several, from 1."""
    entry: str = ""
    """Which input of the target, from 1, where their order means something that cannot be told otherwise."""


@dataclass(frozen=True)
class Stacked:
    """Stack 0 is the input, the last one the output."""

    stacks: list[Stack]
    wires: list[Wire]
    shortcut: tuple[int, int, int] | None = None
    """Where the residual goes around all others: from a stack to a stack and, in that, to a row."""

    @property
    def rows(self) -> list[Row]:
        return [row for stack in self.stacks for row in stack.rows]


class _Nodes:
    """A graph of single rows, which becomes stacks in the end."""

    def __init__(self) -> None:
        self.rows: list[Row | None] = []
        self.wires: list[Wire] = []

    def add(self, row: Row | None, *sources: tuple[int, str], ordered: bool = False) -> int:
        self.rows.append(row)
        for number, (source, port) in enumerate(sources, 1):
            self.wires.append(Wire(source, len(self.rows) - 1, port, str(number) if ordered else ""))
        return len(self.rows) - 1

    def chain(self, rows: Iterable[Row], source: int) -> int:
        for row in rows:
            source = self.add(row, (source, ""))
        return source

    def stacked(self, shortcut: tuple[int, int] | None) -> Stacked:
        """Rows without a branch between them in one stack."""
        out = [[w for w in self.wires if w.source == node] for node in range(len(self.rows))]
        into = [[w for w in self.wires if w.target == node] for node in range(len(self.rows))]
        stacks: list[Stack] = []
        place: dict[int, int] = {}
        for node, row in enumerate(self.rows):  # sources come before what they feed
            before = into[node][0].source if len(into[node]) == 1 else None
            joins = row is not None and before is not None and self.rows[before] is not None
            if joins and before is not None and len(out[before]) == 1 and not into[node][0].port:
                place[node] = place[before]
            else:
                place[node] = len(stacks)
                stacks.append(Stack())
            if row is not None:
                stacks[place[node]].rows.append(row)
        wires = [Wire(place[w.source], place[w.target], w.port, w.entry) for w in self.wires]
        wires = [wire for wire in wires if wire.source != wire.target]
        if shortcut is None:
            return Stacked(stacks, wires)
        source, target = shortcut
        into_row = sum(1 for node in range(target) if place[node] == place[target])
        return Stacked(stacks, wires, (place[source], place[target], into_row))


def stack_subblock(
    sub: SubBlock, width: int, size: Size, before: int | None = None, downsample: Downsample | None = None
) -> Stacked:
    """A sub-block in place.

    Args:
        width: channels of the stage.
        size: height and width of what comes in.
        before: channels that come in, where they are others.
        downsample: of the stage, for its first sub-block, where that does the downsampling (`pool`).
    """
    before = width if before is None else before
    frame = sub.frame(before, width)
    norm, activation = (frame[:1] if sub.norm else []), (frame[-1:] if sub.activation else [])
    down = downsample.main(before, width) if downsample is not None else []
    around = downsample.shortcut(before, width) if downsample is not None else []
    after = size_behind(down, size)
    nodes = _Nodes()
    start = nodes.add(None)
    end = nodes.chain(layer_rows([*norm, *down], before, size), start)
    end, port = _graph(nodes, sub.graph, width, after, end)
    goes_around = None
    if sub.residual:
        sources = [(end, port)]
        if around:
            sources.append((nodes.chain(layer_rows(around, before, size), start), ""))
        end, port = nodes.add(Row("+", "merge", width, Grid.FULL, 0, 0, detail="residual"), *sources), ""
        goes_around = None if around else (start, end)
    if activation:
        (row,) = layer_rows(activation, width, after)
        end, port = nodes.add(row, (end, port)), ""
    nodes.add(None, (end, port))
    return nodes.stacked(goes_around)


def stack_layers(
    main: Sequence[Layer], shortcut: Sequence[Layer], channels: int, size: Size, behind: Sequence[Layer] = ()
) -> Stacked:
    """Layers in sequence, those beside them, if any, whose outputs are added, and those `behind` the sum."""
    nodes = _Nodes()
    start = nodes.add(None)
    end = nodes.chain(layer_rows(main, channels, size), start)
    if shortcut:
        beside = nodes.chain(layer_rows(shortcut, channels, size), start)
        row = nodes.rows[end]
        width = row.channels if row is not None else channels
        end = nodes.add(Row("+", "merge", width, Grid.FULL, 0, 0, detail="residual"), (end, ""), (beside, ""))
        end = nodes.chain(layer_rows(behind, width, size_behind(main, size)), end)
    nodes.add(None, (end, ""))
    return nodes.stacked(None)


def layer_rows(layers: Sequence[Layer], channels: int, size: Size) -> list[Row]:
    """A row for each layer of a frame that is given `channels` channels of H x W `size`."""
    rows, grid = [], Grid.FULL
    for layer in layers:
        label, kind = layer_label(layer)
        channels = getattr(layer, "out_channels", getattr(layer, "out_features", channels))
        op = layer_op(layer)
        if op is not None:
            grid = op.infer((Value(channels, grid),))[0].grid if grid is Grid.FULL else grid
        detail = str(op) if op is not None else label
        rows.append(Row(label, kind, channels, grid, layer.parameters(), layer.macs(size), detail=detail))
        size = layer.out_size(size)
    return rows


def _graph(nodes: _Nodes, graph: BlockGraph, width: int, size: Size, source: int) -> tuple[int, str]:
    """Adds the live operations of a block graph behind `source`; returns where its output comes from."""
    values, costs = graph.infer(width), graph.node_costs(width, size)
    numbers = {INPUT: source}

    def end(ref: Ref) -> tuple[int, str]:
        several = ref.node != INPUT and graph.ops[ref.node].outputs > 1
        return numbers[ref.node], str(ref.port + 1) if several else ""

    for node in graph.flow_order:
        if node not in graph.live:
            continue
        op, value, cost = graph.ops[node], values[Ref(node)], costs[node]
        inputs = graph.inputs_of(node, width)
        ordered = not op.commutative and len(set(inputs)) < len(inputs)
        row = Row(op_label(op), op_kind(op), value.channels, value.grid, cost.params, cost.macs, node, str(op))
        numbers[node] = nodes.add(row, *map(end, graph.sources[node]), ordered=ordered)
    return end(graph.sources[OUTPUT][0])
