"""Drawings in box characters."""

from __future__ import annotations

from collections import Counter

from uninas.genotype import GraphBuilder, SubBlock
from uninas.report.drawing.labels import subblock_labels
from uninas.report.drawing.stacks import stack_subblock
from uninas.report.drawing.terminal import Canvas, draw_lines, draw_subblock


def test_lines_join_where_they_meet():
    canvas = Canvas()
    canvas.box(0, 0, 5, 3)
    canvas.down(2, 2, 4)
    canvas.across(4, 0, 4)
    canvas.text(1, 1, "ab")
    assert str(canvas) == "┌───┐\n│ab │\n└─┬─┘\n  │\n╶─┴─╴"


DRAWN = """\
┌──────────o
│          │
│   ┌──────▼──────┐
│   │      LN     │
│   │  chunk in 2 │
│   └─────1──2────┘
│     ┌───┘  └─────┐
│     │            │
│     │     ┌──────▼──────┐
│     │     │   conv 3×3  │
│     │     └──────┬──────┘
│     └───┐  ┌─────┘
│         │  │
│   ┌────2▼─1▼────┐
│   │    concat   │
└──►│      +      │
    │     ReLU    │
    └──────┬──────┘
           │
           o"""


def test_branches_ports_and_the_residual():
    b = GraphBuilder()
    ports = b.ports(b.add("chunk", b.input, parts=2))
    x = b.add("concat", b.add("conv", ports[1], kernel=3), ports[0])
    assert draw_subblock(SubBlock(b.build(x), activation="relu"), 8, (8, 8)) == DRAWN


def test_every_operation_is_written_once(networks):
    for network in networks:
        drawings = dict(draw_lines(network, (64, 64)))
        letters = subblock_labels(network)
        assert list(drawings) == list(letters.values())
        for (i, _, _), sub in network.subblocks:
            labels = Counter(row.label for row in stack_subblock(sub, network.stages[i].width, (64, 64)).rows)
            drawn = drawings[letters[tuple(sub.signature)]]
            cells = Counter(cell.strip() for line in drawn.splitlines() for cell in line.split("│"))
            assert {label: cells[label] for label in labels} == labels, drawn
