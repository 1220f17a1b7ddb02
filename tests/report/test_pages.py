"""Large networks: sub-blocks in one column, on pages that are no higher than asked for, with every sub-block once."""

from __future__ import annotations

import json
import re
from itertools import combinations
from random import Random
from xml.etree import ElementTree

import pytest

import uninas
from report.test_commands import run
from report.test_drawing import distinct, gate
from uninas.report.drawing.column import lay_out_column
from uninas.report.drawing.figure import UNITS, draw_network, draw_pages
from uninas.report.drawing.image import figure_bytes, page_files
from uninas.report.drawing.labels import subblock_labels
from uninas.report.drawing.packing import pack
from uninas.report.drawing.panel import COMPACT
from uninas.report.drawing.stacks import stack_subblock
from uninas.report.drawing.svg import figure_svg
from uninas.search import Space

SVG = "{http://www.w3.org/2000/svg}"
POINTS = 72 / 2.54
"""In a centimetre."""


@pytest.fixture(scope="module")
def large() -> list[uninas.Genotype]:
    """What walks of very many moves in the universal space end at."""
    space, found = Space.load("uninas"), []
    for moves in (60, 200):
        genotype, rng = space.start("coatnet"), Random(moves)
        for _ in range(moves):
            genotype = space.mutate(genotype, rng)
        found.append(genotype)
    return found


@pytest.fixture(scope="module")
def column(networks, large):
    """(stacked sub-block, its panel)."""
    stacks = [stack_subblock(sub, width, (14, 14)) for sub, width in distinct([*networks, *large])]
    return [(stacked, lay_out_column(stacked, COMPACT)) for stacked in stacks]


def apart(a, b) -> bool:
    """Whether two rectangles (left, top, right, bottom) do not overlap."""
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def texts(page) -> list[tuple[str, tuple[float, float, float, float], float]]:
    """(text, its rectangle on the page, font size) of all texts of a page, as they are in its SVG."""
    from cairosvg.surface import cairo

    context = cairo.Context(cairo.ImageSurface(cairo.FORMAT_ARGB32, 1, 1))
    unhinted = cairo.FontOptions()  # a page has no pixels that letters are rounded to
    unhinted.set_hint_style(cairo.HINT_STYLE_NONE)
    unhinted.set_hint_metrics(cairo.HINT_METRICS_OFF)
    context.set_font_options(unhinted)

    def walk(element, left, top):
        move = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", element.get("transform", ""))
        left, top = (left + float(move[1]), top + float(move[2])) if move else (left, top)
        if element.tag == f"{SVG}text":
            size = float(re.sub(r"font-size:([\d.]+)px", r"\1", element.get("style", "")) or 8)
            classes = (element.get("class") or "").split()
            context.select_font_face("Helvetica", 0, cairo.FONT_WEIGHT_BOLD if "strong" in classes else 0)
            context.set_font_size(size)
            _, bearing, width, height, *_ = context.text_extents(element.text)
            x = left + float(element.get("x")) - width * (0.5 if "middle" in classes else "end-text" in classes)
            y = top + float(element.get("y"))
            yield element.text, (x, y + bearing, x + width, y + bearing + height), size
        for child in element:
            yield from walk(child, left, top)

    return list(walk(ElementTree.fromstring(figure_svg(page)), 0.0, 0.0))


def test_a_column_has_every_operation_once_and_nothing_overlaps(column):
    for stacked, panel in column:
        drawn = [line.row for box in panel.boxes for line in box.lines]
        assert sorted(map(id, drawn)) == sorted(map(id, stacked.rows))
        rectangles = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in panel.boxes]
        assert all(apart(a, b) for a, b in combinations(rectangles, 2))
        assert all(
            left >= 0 and top >= 0 and right <= panel.width + 0.2 and bottom <= panel.height + 0.2
            for left, top, right, bottom in rectangles
        )
        for box in panel.boxes:
            assert sum(line.height for line in box.lines) in (0, pytest.approx(box.height, abs=0.2))


def test_wires_of_a_column_begin_and_end_where_they_belong(column):
    asides = 0
    for stacked, panel in column:
        wires = [(wire.source, wire.target, 0) for wire in stacked.wires]
        wires += [stacked.shortcut] if stacked.shortcut else []
        assert len(panel.paths) == len(wires)
        for (start, end, row), path in zip(wires, panel.paths):
            source, target = panel.boxes[start], panel.boxes[end]
            assert source.y + source.height <= target.y
            x, y = map(float, re.match(r"M([\d.-]+) ([\d.-]+)", path.d).groups())
            if path.aside:
                asides += 1
                assert x <= source.x + 0.1 and source.y <= y <= source.y + source.height
                line = target.lines[row] if target.lines else None
                top, height = (target.y + line.y, line.height) if line else (target.y, target.height)
                assert path.tip[0] == target.x and top <= path.tip[1] <= top + height
            else:
                below = [box for box in panel.boxes if source.y < box.y < target.y]
                assert not below, "a wire runs through a stack"
                assert y == pytest.approx(source.y + source.height, abs=0.1)
                assert path.tip[1] == target.y
    assert asides > 50


def test_what_reaches_and_leaves_one_side_has_a_place_of_its_own(column):
    """Only wires of one value begin at one point; no two end at one."""
    for stacked, panel in column:
        ends = [path.tip for path in panel.paths]
        assert len(set(ends)) == len(ends)
        values = {}
        wires = [(wire.source, wire.port) for wire in stacked.wires]
        wires += [(stacked.shortcut[0], "")] if stacked.shortcut else []
        for value, path in zip(wires, panel.paths):
            if path.aside:
                start = re.match(r"M([\d.-]+) ([\d.-]+)", path.d)[0]
                assert values.setdefault(start, value) == value
        inward = {round(path.tip[1], 1) for path in panel.paths if path.aside}
        outward = {round(float(re.match(r"M[\d.-]+ ([\d.-]+)", path.d)[1]), 1) for path in panel.paths if path.aside}
        assert not inward & outward


def test_numbers_are_those_of_the_layered_drawing(column):
    for stacked, panel in column:
        numbers = [text for path in panel.paths for *_, text in path.labels]
        ports = {(wire.source, wire.port) for wire in stacked.wires if wire.port}
        assert len([w for w in stacked.wires if w.entry]) + len(ports) <= len(numbers)
        assert set(numbers) == {text for wire in stacked.wires for text in (wire.port, wire.entry)} - {""}
    panel = lay_out_column(stack_subblock(gate(), 8, (8, 8)), COMPACT)
    assert sorted(text for path in panel.paths for *_, text in path.labels) == ["1", "2"]


@pytest.mark.parametrize(("width", "height"), [(8, 22), (8, 20), (17, 22)])
def test_pages_are_no_higher_than_asked_for_and_have_every_sub_block_once(large, width, height):
    for genotype in large:
        pages = draw_pages(genotype, (224, 224), centimetres=width, height=height)
        assert len(pages) > 1 or width > 8
        letters = list(subblock_labels(genotype).values())
        drawn = [text.text for page in pages for text in page.texts if text.style == "strong"]
        assert sorted(text for text in drawn if text in letters) == sorted(letters)
        assert sum(len(page.panels) for page in pages) == len(letters)
        for page in pages:
            assert page.centimetres == width and page.centimetres_high <= height
            rectangles = [
                (spot.x, spot.y - 13, spot.x + spot.panel.width, spot.y + spot.panel.height) for spot in page.panels
            ]
            assert all(apart(a, b) for a, b in combinations(rectangles, 2))
            assert all(right <= page.width and bottom <= page.height for *_, right, bottom in rectangles)


def test_no_text_overlaps_another_leaves_its_page_or_is_small(large):
    pytest.importorskip("cairosvg")
    for genotype in large:
        for page in draw_pages(genotype, (224, 224)):
            found = texts(page)
            for (one, a, _), (other, b, _) in combinations(found, 2):
                assert apart(a, b), (one, other)
            for text, (left, top, right, bottom), size in found:
                assert left >= 0 and top >= 0 and right <= page.width and bottom <= page.height, text
                assert size / UNITS * POINTS >= 5.5, text


def test_what_fits_is_drawn_in_layers_as_before(networks):
    coatnet = uninas.blocks.network("coatnet")
    (page,) = draw_pages(coatnet, (224, 224))
    assert figure_svg(page) == figure_svg(draw_network(coatnet, (224, 224)))
    assert any(not path.aside and "C" in path.d for spot in page.panels for path in spot.panel.paths)


def test_a_sub_block_higher_than_a_page_makes_its_page_higher(large):
    pages = draw_pages(large[1], (224, 224), height=5)
    assert sum(len(page.panels) for page in pages) == len(subblock_labels(large[1]))
    for page in pages:
        over = [spot for spot in page.panels if spot.y + spot.panel.height > 5 * UNITS - 4]
        assert len(over) <= 1 and (page.centimetres_high <= 5 or over or page is pages[0])
    assert any(page.centimetres_high > 5 for page in pages[1:])


def test_packing_keeps_to_the_pages_and_nearly_to_the_order():
    rng = Random(0)
    sizes = [(rng.uniform(5, 60), rng.uniform(5, 90)) for _ in range(60)]
    pages = pack(sizes, 100, (120, 150))
    placed = [spot for page in pages for spot in page]
    assert sorted(i for i, _, _ in placed) == list(range(60))
    for number, page in enumerate(pages):
        corners = [(x, y, x + sizes[i][0], y + sizes[i][1]) for i, x, y in page]
        assert all(apart(a, b) for a, b in combinations(corners, 2))
        assert all(c[2] <= 100 and c[3] <= (150 if number else 120) for c in corners)
    assert all(abs(place - i) <= 16 for place, (i, _, _) in enumerate(placed))
    assert len(pages) <= 1.6 * sum(w * h for w, h in sizes) / (100 * 150) + 1


def test_files_of_pages(large, tmp_path):
    pytest.importorskip("cairosvg")
    pages = draw_pages(large[0], (224, 224))
    files = page_files(pages, tmp_path / "net.png")
    assert [path.name for path in files] == [f"net-{i + 1}.png" for i in range(len(pages))]
    ((path, pdf),) = page_files(pages, tmp_path / "net.pdf").items()
    assert path.name == "net.pdf" and pdf.startswith(b"%PDF")
    assert f"/Count {len(pages)}".encode() in pdf
    boxes = [tuple(map(float, found)) for found in re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)]
    for (wide, high), page in zip(boxes, pages):
        assert wide == pytest.approx(8 * POINTS, abs=0.1)
        assert high == pytest.approx(page.centimetres_high * POINTS, abs=1)
    assert figure_bytes(pages[0], ".pdf").count(b"/MediaBox") == 1


def test_the_command_names_every_file(large, tmp_path):
    large[0].save(tmp_path / "large.yaml")
    code, out, _ = run("draw", tmp_path / "large.yaml", "--out", tmp_path / "net.svg", "--json")
    found = json.loads(out)
    assert code == 0 and len(found["out"]) == len(found["heights_cm"]) > 1 and max(found["heights_cm"]) <= 22
    assert all((tmp_path / f"net-{i + 1}.svg").exists() for i in range(len(found["out"])))
    code, _, message = run("draw", tmp_path / "large.yaml", "--out", tmp_path / "net.svg")
    assert code == 1 and "net-1.svg" in message and "--force" in message
    whole = run("draw", tmp_path / "large.yaml", "--out", tmp_path / "whole.svg", "--max-height", "1000")
    assert whole[0] == 0 and "whole.svg, 8 x " in whole[1].replace("8.0", "8")
    assert run("draw", "resnet", "--out", tmp_path / "low.svg", "--max-height", "1")[0] == 2
