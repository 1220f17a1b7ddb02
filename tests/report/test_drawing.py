"""Drawings show every operation and every wire once, without overlaps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations
from xml.etree import ElementTree

import pytest

import uninas
from uninas.genotype import Downsample, GraphBuilder, SubBlock, cost
from uninas.report.drawing import layout
from uninas.report.drawing.figure import draw_network
from uninas.report.drawing.image import figure_bytes, image_format
from uninas.report.drawing.labels import KINDS, layer_label, op_label, subblock_labels
from uninas.report.drawing.layout import DrawingError, place
from uninas.report.drawing.panel import COMPACT, DETAILED, lay_out
from uninas.report.drawing.stacks import stack_subblock
from uninas.report.drawing.svg import figure_svg, panel_svg
from uninas.report.html.networks import Networks

SVG = "{http://www.w3.org/2000/svg}"


def distinct(networks):
    """(sub-block, width) of all distinct sub-blocks."""
    found = {}
    for network in networks:
        for (i, _, _), sub in network.subblocks:
            found.setdefault(tuple(sub.signature), (sub, network.stages[i].width))
    return found.values()


def gate() -> SubBlock:
    b = GraphBuilder()
    x = b.add("conv", b.input, kernel=3)
    return SubBlock(b.build(b.add("multiply", x, b.add("conv", x))), norm=None, residual=False)


def test_every_operation_is_there_once_with_its_cost(networks):
    for sub, width in distinct(networks):
        stacked = stack_subblock(sub, width, (14, 14))
        nodes = [row.node for row in stacked.rows if row.node is not None]
        assert sorted(nodes) == sorted(sub.graph.live)
        costs = sub.graph.node_costs(width, (14, 14))
        assert {row.node: (row.params, row.macs) for row in stacked.rows if row.node} == costs
        frame = [row.label for row in stacked.rows if row.node is None]
        assert len(frame) == bool(sub.norm) + sub.residual + bool(sub.activation)


def test_every_wire_is_there(networks):
    """Wires between stacks and those inside of them, which are not drawn, are the edges of the graph and its frame."""
    for sub, width in distinct(networks):
        stacked = stack_subblock(sub, width, (14, 14))
        inside = sum(max(len(stack.rows) - 1, 0) for stack in stacked.stacks)
        edges = sum(len(refs) for node, refs in sub.graph.sources.items() if node in sub.graph.live or node == "output")
        frame = bool(sub.norm) + sub.residual + bool(sub.activation)
        assert len(stacked.wires) + inside == edges + frame
        assert (stacked.shortcut is not None) == sub.residual
        if stacked.shortcut:
            source, target, row = stacked.shortcut
            assert source == 0 and stacked.stacks[target].rows[row].label == "+"


@pytest.mark.parametrize("style", [COMPACT, DETAILED], ids=["compact", "detailed"])
def test_boxes_do_not_overlap_and_wires_end_at_them(networks, style):
    for sub, width in distinct(networks):
        stacked = stack_subblock(sub, width, (14, 14))
        panel = lay_out(stacked, style)
        for a, b in combinations(panel.boxes, 2):
            apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            assert apart, (a, b)
        for box in panel.boxes:
            assert box.x >= 0 and box.x + box.width <= panel.width + 0.2
            assert box.y >= 0 and box.y + box.height <= panel.height + 0.2
            for line in box.lines:
                assert line.row.label and style.text(line.row.label) <= box.width
                assert all(end <= box.width for end, _ in line.columns)
        for wire, path in zip(stacked.wires, panel.paths):
            target = panel.boxes[wire.target]
            assert target.x <= path.tip[0] <= target.x + target.width
            assert path.tip[1] == pytest.approx(target.y, abs=0.1)


def test_inputs_whose_order_matters_are_numbered():
    panel = lay_out(stack_subblock(gate(), 8, (8, 8)), COMPACT)
    numbers = [text for path in panel.paths for *_, text in path.labels]
    assert sorted(numbers) == ["1", "2"]
    b = GraphBuilder()
    x = b.add("conv", b.input)
    equal = SubBlock(b.build(b.add("add", x, b.add("gelu", x))))
    assert not any(path.labels for path in lay_out(stack_subblock(equal, 8, (8, 8)), COMPACT).paths)


def test_outputs_of_a_chunk_are_numbered():
    b = GraphBuilder()
    ports = b.ports(b.add("chunk", b.input, parts=2))
    sub = SubBlock(b.build(b.add("concat", b.add("gelu", ports[1]), ports[0])))
    stacked = stack_subblock(sub, 8, (8, 8))
    assert sorted(wire.port for wire in stacked.wires if wire.port) == ["1", "2"]
    into = {wire.entry: wire.port for wire in stacked.wires if wire.entry == "2"}
    assert into == {"2": "1"}, "the second input of the concat is the first output of the chunk"


def test_dead_operations_are_not_drawn():
    b = GraphBuilder()
    b.add("conv", b.input, kernel=7)
    sub = SubBlock(b.build(b.add("gelu", b.input)))
    assert [row.label for row in stack_subblock(sub, 8, (8, 8)).rows] == ["LN", "GELU", "+"]


def test_downsampling_inside_the_first_sub_block():
    (_, sub), *_ = uninas.blocks.network("resnet").subblocks
    stacked = stack_subblock(sub, 64, (112, 112), 32, Downsample("pool"))
    labels = [row.label for row in stacked.rows]
    assert labels.count("avg pool 2×2") == 2 and stacked.shortcut is None
    assert max(row.macs for row in stacked.rows if row.label == "conv 3×3") == 64 * 64 * 9 * 56 * 56


def test_stages_of_the_page_cost_what_the_network_costs(networks):
    for network in networks:
        for size in ((64, 64), (97, 128)):
            found = Networks(size, 10)
            stages = [found.stages[number] for number in found.add(network)]
            expected = cost(network, size, 10)
            assert (sum(stage[2] for stage in stages), sum(stage[3] for stage in stages)) == (
                expected.params,
                expected.macs,
            )


def test_networks_share_what_they_have_in_common(space):
    from random import Random

    parent = space.start("coatnet")
    child = space.mutate(parent, Random(0))
    found = Networks((64, 64), 10)
    first, before = found.add(parent), len(found.panels)
    second = found.add(child)
    assert found.add(parent) == first
    assert second != first and len(found.panels) - before < before


def test_figures_are_a_column_wide_at_6_pt(networks):
    for network in networks[:5]:
        figure = draw_network(network, (224, 224))
        assert figure.centimetres == 8
        for a, b in combinations(figure.panels, 2):
            assert (
                a.x + a.panel.width <= b.x
                or b.x + b.panel.width <= a.x
                or a.y + a.panel.height <= b.y
                or b.y + b.panel.height <= a.y
            )
        root = ElementTree.fromstring(figure_svg(figure))
        assert root.get("width") == "8.0cm"
        units = float(root.get("viewBox").split()[2])
        points = 8 / 2.54 * 72
        (size,) = re.findall(r"text \{[^}]*font-size: (\d+)px", root.find(f"{SVG}style").text)
        assert int(size) * points / units == pytest.approx(6, abs=0.01)


def test_each_distinct_sub_block_is_drawn_once(networks):
    for network in networks:
        figure = draw_network(network, (224, 224), centimetres=17)
        letters = [text.text for text in figure.texts if text.style == "strong"]
        expected = list(subblock_labels(network).values())
        assert Counter(letters) >= Counter(expected)
        assert len(figure.panels) == len(expected)
        for spot in figure.panels:
            assert spot.x + spot.panel.width <= figure.width


def test_a_name_is_text_not_markup():
    network = uninas.Genotype(uninas.blocks.network("resnet").stages, name='<script>&"')
    root = ElementTree.fromstring(figure_svg(draw_network(network, (64, 64))))
    assert root.find(f"{SVG}title").text == '<script>&"'


def test_marks_are_drawn_where_the_change_is():
    network = uninas.blocks.network("coatnet")
    node = next(iter(dict(network.subblocks)[2, 1, 0].graph.ops))
    figure = draw_network(network, (224, 224), marks={(2, 1, 0): {node}})
    root = ElementTree.fromstring(figure_svg(figure))
    (marked,) = (g for g in root.iter(f"{SVG}g") if g.get("class") == "marked")
    assert marked.get("data-node") == node
    changed = [rect for rect in root.iter(f"{SVG}rect") if "changed" in (rect.get("class") or "")]
    assert len(changed) == 1


def test_a_panel_is_well_formed_and_says_what_a_row_costs(networks):
    for sub, width in distinct(networks[:5]):
        stacked = stack_subblock(sub, width, (14, 14))
        root = ElementTree.fromstring(f"<svg>{panel_svg(lay_out(stacked, DETAILED), DETAILED)}</svg>")
        titles = [title.text for title in root.iter("title")]
        assert len(titles) == len(stacked.rows)
        heaviest = max(stacked.rows, key=lambda row: row.macs)
        assert any(f"{heaviest.macs:,} MACs" in title for title in titles)


def test_files_are_what_their_names_say():
    pytest.importorskip("cairosvg")
    figure = draw_network(uninas.blocks.network("resnet"), (64, 64))
    assert figure_bytes(figure, ".pdf").startswith(b"%PDF")
    image = figure_bytes(figure, ".png")
    assert image.startswith(b"\x89PNG") and int.from_bytes(image[16:20], "big") == round(8 / 2.54 * 300)


@pytest.mark.parametrize("name", ["net.jpg", "net", "svg"])
def test_other_formats_are_refused(name, tmp_path):
    with pytest.raises(DrawingError, match=r"one of \.svg, \.png, \.pdf"):
        image_format(tmp_path / name)


@pytest.mark.parametrize(("package", "work"), [("fast_sugiyama", "draw"), ("cairosvg", "pdf")])
def test_what_is_missing_is_named_with_its_remedy(package, work, monkeypatch):
    figure = draw_network(uninas.blocks.network("resnet"), (64, 64))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DrawingError, match=r"uninas-toolkit\[report\]"):
        if work == "draw":
            draw_network(uninas.blocks.network("resnet"), (64, 64))
        else:
            figure_bytes(figure, ".pdf")


def test_layout_keeps_parallel_edges_apart():
    placed = place([(0, 1), (1, 2), (1, 3), (1, 3), (2, 3), (0, 3)], 4, 10, 2)
    assert placed.layers == [0, 1, 2, 3]
    assert [[layer for _, layer in path] for path in placed.passed] == [[], [], [2], [2], [], [1, 2]]
    lanes = [path[0][0] for path in placed.passed[2:4]]
    assert lanes[0] != lanes[1]


def test_a_drawing_is_the_same_in_every_process():
    """The layout library goes through sets, whose order of texts differs between processes."""
    code = (
        "import uninas; from uninas.report.drawing.figure import draw_network; "
        "from uninas.report.drawing.svg import figure_svg; "
        "print(figure_svg(draw_network(uninas.blocks.network('coatnet'), (64, 64))), end='')"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=300)
    assert found.stdout == figure_svg(draw_network(uninas.blocks.network("coatnet"), (64, 64))), found.stderr


def test_every_operation_has_a_label():
    from uninas.ops import REGISTRY

    for name, op in REGISTRY.items():
        if name:
            assert op_label(op())
    assert op_label(uninas.ops.make("conv", {"kernel": 3, "ratio": "1/4", "groups": 2})) == "conv 3×3 2 groups ÷4"


@pytest.mark.parametrize("name", uninas.blocks.PUBLISHED)
def test_every_layer_of_the_published_networks_has_a_label(name):
    genotype = uninas.blocks.network(name)
    before = genotype.stem.width
    layers = genotype.stem.layers() + genotype.head.layers(genotype.stages[-1].width, 1000)
    for stage in genotype.stages:
        down = stage.downsample
        layers += [*down.main(before, stage.width), *down.shortcut(before, stage.width), *down.behind(stage.width)]
        before = stage.width
    for layer in layers:
        label, kind = layer_label(layer)
        assert kind in KINDS and label != type(layer).__name__


def test_the_error_class_is_one_of_ours():
    assert issubclass(layout.DrawingError, uninas.UninasError)
