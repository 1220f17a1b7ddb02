"""A whole network as a figure, 8 cm wide at 6 pt, for a column of a paper; a large one on several pages.

At the top a line a stage with its blocks as letters, output size, parameters and MACs; below, each distinct sub-block
once, under its letter. Sub-blocks are drawn in layers. Where that needs more than a page, each is drawn in one column,
which takes half the room; what still does not fit goes on on further pages.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ...genotype import Block, Genotype, SubBlock, cost_parts
from ...ops import Size
from ...units import format_count
from .column import lay_out_column
from .labels import KINDS, subblock_labels
from .packing import pack
from .panel import COMPACT, Panel, Style, lay_out
from .stacks import Stacked, stack_subblock

COLUMN = 8.0
"""Centimetres of a column."""
UNITS = 302.0 / COLUMN
"""In a centimetre: CSS pixels, so that a font size of 8 is 6 pt."""
PAGE = 22.0
"""Centimetres of a column's height, with room for a caption."""
MARGIN, LINE, GUTTER = 4.0, 11.0, 6.0
ABOVE, HEAD, BELOW = 10.0, 13.0, 12.0
"""Above all panels; between a panel and the top of its letter; below a panel."""
NAMES, BLOCKS, COSTS = MARGIN, 92.0, 46.0
"""Stages: where names and blocks begin, and how far before the MACs the parameters end."""

Place = tuple[int, int, int]
"""Numbers of stage, block and sub-block."""


@dataclass(frozen=True)
class Text:
    x: float
    y: float
    text: str
    style: str = ""


@dataclass(frozen=True)
class Chip:
    """A block, or a colour of the legend."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str = ""
    changed: bool = False


@dataclass(frozen=True)
class Spot:
    """A panel at its place."""

    x: float
    y: float
    panel: Panel
    marked: Collection[str] = ()
    """Ids of nodes to be marked."""


@dataclass
class Figure:
    """What the template writes."""

    title: str
    classes: int
    """Of the head."""
    style: Style = COMPACT
    width: float = UNITS * COLUMN
    height: float = 0.0
    texts: list[Text] = field(default_factory=list)
    chips: list[Chip] = field(default_factory=list)
    rules: list[tuple[float, float, float]] = field(default_factory=list)
    panels: list[Spot] = field(default_factory=list)

    @property
    def centimetres(self) -> float:
        """Width."""
        return round(self.width / UNITS, 2)

    @property
    def centimetres_high(self) -> float:
        return round(self.height / UNITS, 2)

    @property
    def right(self) -> float:
        """Where texts end."""
        return self.width - MARGIN


def draw_pages(
    genotype: Genotype,
    size: Size,
    num_classes: int = 1000,
    marks: Mapping[Place, Collection[str]] | None = None,
    notes: Sequence[str] = (),
    centimetres: float = COLUMN,
    height: float = PAGE,
) -> list[Figure]:
    """The figure of a network, on as many pages as it needs.

    Args:
        size: height and width of the image, for output sizes and MACs.
        num_classes: of the head; 0 draws the backbone.
        marks: what is to be marked: nodes of a sub-block by its place. A place without nodes marks its block.
        notes: lines below the title.
        centimetres: width of a page; more, where a single sub-block is wider even in one column.
        height: of a page, at most, in centimetres; more, where a single sub-block is higher.

    Raises:
        GenotypeError: the image is too small for the network.
        DrawingError: the layout library is not installed.
    """
    letters = subblock_labels(genotype)

    def drawn(draw: Callable[[Stacked, Style], Panel]) -> list[Figure]:
        found = _letters(genotype, size, letters, marks or {}, draw)
        width = max(UNITS * centimetres, max(letter.panel.width for letter in found) + 2 * MARGIN)
        first = Figure(genotype.name or f"network {genotype.key[:12]}", num_classes, width=width)
        _overview(first, genotype, size, letters, marks or {}, notes)
        return _pages(first, found, UNITS * height)

    pages = drawn(lay_out)
    if len(pages) > 1 or pages[0].width > UNITS * centimetres or pages[0].height > UNITS * height:
        pages = drawn(lay_out_column)
    return pages


def draw_network(
    genotype: Genotype,
    size: Size,
    num_classes: int = 1000,
    marks: Mapping[Place, Collection[str]] | None = None,
    notes: Sequence[str] = (),
    centimetres: float = COLUMN,
) -> Figure:
    """All on one page, however high; the arguments are those of `draw_pages`."""
    (figure,) = draw_pages(genotype, size, num_classes, marks, notes, centimetres, math.inf)
    return figure


def _overview(
    figure: Figure, genotype: Genotype, size: Size, letters: dict, marks: Mapping, notes: Sequence[str]
) -> None:
    """The first page's title, costs, stages and legend."""
    parts = list(cost_parts(genotype, size, figure.classes))
    params, macs = (sum(getattr(cost, what) for _, cost, _ in parts) for what in ("params", "macs"))
    y = MARGIN + 8
    figure.texts.append(Text(MARGIN, y, figure.title, "strong"))
    y += LINE
    facts = f"{format_count(params)} parameters, {format_count(macs)} MACs at {size[0]} × {size[1]}"
    figure.texts.append(Text(MARGIN, y, facts, "quiet"))
    for note in notes:
        y += LINE
        figure.texts.append(Text(MARGIN, y, note, "quiet"))
    y = _stages(figure, genotype, parts, letters, marks, y + 6)
    figure.height = _legend(figure, y + 8)


def _stages(figure: Figure, genotype: Genotype, parts: list, letters: dict, marks: Mapping, y: float) -> float:
    """A line for the stem, each stage and the head; returns where they end."""
    figure.rules.append((MARGIN, y, figure.width - 2 * MARGIN))
    _numbers(figure, y + 1, "params", "MACs", " quiet")
    count = len(genotype.stem.convs)
    y = _stage(figure, "stem", genotype.stem.width, parts[:1], y + 13)
    figure.texts.append(Text(BLOCKS, y + 8, f"{count} convolution{'s' if count > 1 else ''}", "quiet"))
    for index, stage in enumerate(genotype.stages):
        found = [part for part in parts if part[0].startswith(f"stages[{index}]")]
        y = _stage(figure, f"stage {index + 1}", stage.width, found, y + LINE + 4)
        y = _blocks(figure, genotype, index, letters, marks, y)
    y = _stage(figure, "head", None, parts[-1:], y + LINE + 4)
    figure.texts.append(Text(BLOCKS, y + 8, "pool, classifier" if figure.classes else "pool", "quiet"))
    y += LINE + 4
    figure.rules.append((MARGIN, y, figure.width - 2 * MARGIN))
    return y


def _stage(figure: Figure, name: str, channels: int | None, parts: list, y: float) -> float:
    """Name, output and cost of a line, without its blocks; returns its y."""
    figure.texts.append(Text(NAMES, y + 8, name, "strong"))
    if channels is not None:
        height, width = parts[-1][2]
        figure.texts.append(Text(NAMES + 34, y + 8, f"{channels} · {height}×{width}", "quiet"))
    params, macs = (sum(getattr(cost, what) for _, cost, _ in parts) for what in ("params", "macs"))
    _numbers(figure, y, format_count(params), format_count(macs))
    return y


def _numbers(figure: Figure, y: float, params: str, macs: str, style: str = "") -> None:
    """The two columns at the right."""
    figure.texts.append(Text(figure.right - COSTS, y + 8, params, f"end-text{style}"))
    figure.texts.append(Text(figure.right, y + 8, macs, f"end-text{style}"))


def _blocks(figure: Figure, genotype: Genotype, index: int, letters: dict, marks: Mapping, y: float) -> float:
    """The blocks of a stage as chips with letters, equal ones in a row as one; returns the y of their last line."""
    stage = genotype.stages[index]
    changed = {j for i, j, _ in marks if i == index}
    x, first = BLOCKS, BLOCKS
    if stage.downsample.kind != "none":
        text = f"↓ {stage.downsample.kind}"
        figure.texts.append(Text(x, y + 8, text, "quiet"))
        x = first = x + COMPACT.text(text) + 4
    named = [(block_letters(block, letters), j in changed) for j, block in enumerate(stage.blocks)]
    for (text, marked), group in groupby(named):
        count = len(list(group))
        label = text if count == 1 else f"{text} ×{count}"
        width = COMPACT.text(label) + 6
        if x + width > figure.right - COSTS - 34:
            x, y = first, y + LINE + 3
        figure.chips.append(Chip(x, y - 0.5, width, LINE, "other", label, marked))
        x += width + 3
    return y


def block_letters(block: Block, letters: Mapping[tuple, str]) -> str:
    """`AB` for a block of the sub-blocks A and B."""
    return "".join(letters[tuple(sub.signature)] for sub in block.subblocks)


def _legend(figure: Figure, y: float) -> float:
    """What the colours mean."""
    x = MARGIN
    for kind, text in KINDS.items():
        if kind != "other":
            figure.chips.append(Chip(x, y - 1, 7, 7, kind))
            figure.texts.append(Text(x + 9.5, y + 5.2, text, "quiet"))
            x += 9.5 + COMPACT.text(text) * 0.86 + 7
    return y + 8


@dataclass(frozen=True)
class _Letter:
    """A distinct sub-block."""

    letter: str
    count: int
    panel: Panel
    marked: Collection[str]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the panel and its letter, with the space to the next ones."""
        width = max(self.panel.width, COMPACT.text(f"{self.letter} ×{self.count}"))
        return width + GUTTER, HEAD + self.panel.height + BELOW


def _letters(
    genotype: Genotype, size: Size, letters: dict, marks: Mapping, draw: Callable[[Stacked, Style], Panel]
) -> list[_Letter]:
    """The distinct sub-blocks in the order of their letters, each as where it is marked, or where it is first."""
    chosen: dict[str, tuple[Place, SubBlock]] = {}
    for where, sub in genotype.subblocks:
        letter = letters[tuple(sub.signature)]
        if letter not in chosen or (where in marks and chosen[letter][0] not in marks):
            chosen[letter] = (where, sub)
    counts = Counter(letters[tuple(sub.signature)] for _, sub in genotype.subblocks)
    found = []
    for letter, (where, sub) in chosen.items():
        panel = draw(stack_subblock(sub, genotype.stages[where[0]].width, size), COMPACT)
        found.append(_Letter(letter, counts[letter], panel, marks.get(where, ())))
    return found


def _pages(first: Figure, found: Sequence[_Letter], height: float) -> list[Figure]:
    """The first page, below what it holds already, and those that follow it, with all sub-blocks in their places."""
    after = Figure(first.title, first.classes, width=first.width)
    after.texts.append(Text(MARGIN, MARGIN + 8, after.title, "strong"))
    after.height = _legend(after, MARGIN + LINE + 8)
    tops = (first.height + ABOVE, after.height + ABOVE)
    rooms = (height - tops[0] - MARGIN + BELOW, height - tops[1] - MARGIN + BELOW)
    placed = pack([letter.size for letter in found], first.width - 2 * MARGIN + GUTTER, rooms)
    pages = [first, *(copy.deepcopy(after) for _ in placed[1:])]
    for number, (page, spots) in enumerate(zip(pages, placed), 1):
        top = tops[number > 1]
        for index, x, y in spots:
            _panel(page, found[index], MARGIN + x, top + y)
        page.height = round(max([page.height, *(spot.y + spot.panel.height for spot in page.panels)]) + MARGIN, 1)
        if len(pages) > 1:
            page.texts.append(Text(page.right, MARGIN + 8, f"{number} of {len(pages)}", "end-text quiet"))
    return pages


def _panel(figure: Figure, found: _Letter, x: float, y: float) -> None:
    """A sub-block under its letter."""
    figure.texts.append(Text(x, y + 8, found.letter, "strong"))
    if found.count > 1:
        figure.texts.append(Text(x + COMPACT.text(found.letter) + 4, y + 8, f"×{found.count}", "quiet"))
    figure.panels.append(Spot(x, y + HEAD, found.panel, found.marked))
