"""Networks as the page gets them: what they share is there once, as numbers into lists of panels, blocks and stages.

Candidates of a search are small changes of one another, so 10,000 networks take a few megabytes. Panels are drawn
here, by the templates of `uninas draw`; the page's script puts them where they belong.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from ...genotype import Block, Downsample, Genotype, Stage, SubBlock
from ...ops import Size
from ...ops.layers import ConvLayer, Layer, total
from ..drawing.labels import KINDS
from ..drawing.panel import DETAILED, lay_out
from ..drawing.stacks import Stacked, stack_layers, stack_subblock
from ..drawing.svg import panel_svg
from ..text import format_subblock

_LETTER = {**{kind: kind[0] for kind in KINDS}, "attention": "t"}
"""`c` for a convolution and so on: a sub-block's operations as a word, which the page shows as a strip of colours."""


class Networks:
    """A collection that networks are added to.

    Args:
        size: height and width of the image.
        num_classes: of the head.
    """

    def __init__(self, size: Size, num_classes: int) -> None:
        self.size, self.num_classes = size, num_classes
        self.panels: list[list[Any]] = []
        """[width, height, kinds, words, number of the sub-block whatever its width, drawing]."""
        self.blocks: list[list[Any]] = []
        """[parameters, MACs, [panel, ...]]; downsampling before a block is a panel with the sub-block number -1."""
        self.stages: list[list[Any]] = []
        """[name, output, parameters, MACs, [block, ...]]."""
        self._costs: list[tuple[int, int]] = []
        """Parameters and MACs of the panels."""
        self._known: dict[str, dict[Hashable, int]] = {"panel": {}, "block": {}, "stage": {}, "sub": {}}

    def add(self, genotype: Genotype) -> list[int]:
        """A network as the numbers of its stages: stem, stages, head."""
        layers = genotype.stem.layers()
        found = [self._frame("stem", layers, 3, self.size)]
        size = total(layers, self.size)[2]
        before = genotype.stem.width
        for index, stage in enumerate(genotype.stages):
            number, size = self._stage(index, stage, before, size)
            found.append(number)
            before = stage.width
        return [*found, self._frame("head", genotype.head.layers(before, self.num_classes), before, size)]

    def as_json(self) -> dict[str, Any]:
        """All that is shared."""
        return {"panels": self.panels, "blocks": self.blocks, "stages": self.stages}

    def _number(self, kind: str, key: Hashable) -> tuple[int, bool]:
        """The number of what has this key, and whether it is new."""
        known = self._known[kind]
        new = key not in known
        return known.setdefault(key, len(known)), new

    def _frame(self, name: str, layers: list[Layer], channels: int, size: Size) -> int:
        """The stem or the head as a stage of one block."""
        key = (name, tuple(layers), channels, size)
        number, new = self._number("stage", key)
        if new:
            after = total(layers, size)[2]
            panel = self._panel(key, lambda: stack_layers(layers, [], channels, size), name)
            classes = getattr(layers[-1], "out_features", 0)
            width = [channels, *(layer.out_channels for layer in layers if isinstance(layer, ConvLayer))][-1]
            output = f"{classes} classes" if classes else f"{width} · {after[0]}×{after[1]}"
            self._add_stage(name, output, [self._block([panel])])
        return number

    def _stage(self, index: int, stage: Stage, before: int, size: Size) -> tuple[int, Size]:
        """A stage behind `before` channels of H x W `size`, and its output size."""
        after = total(stage.downsample.main(before, stage.width), size)[2]
        content = tuple(tuple(tuple(sub.signature) for sub in block.subblocks) for block in stage.blocks)
        number, new = self._number("stage", (index, stage.width, stage.downsample, content, before, size))
        if new:
            first, *others = stage.blocks
            blocks = [self._first_block(first, stage, before, size)]
            blocks += [self._block([self._subblock(s, stage.width, after) for s in b.subblocks]) for b in others]
            self._add_stage(f"stage {index + 1}", f"{stage.width} · {after[0]}×{after[1]}", blocks)
        return number, after

    def _first_block(self, block: Block, stage: Stage, before: int, size: Size) -> int:
        """The first block of a stage, which does the downsampling in its first sub-block, or has it before."""
        down, width = stage.downsample, stage.width
        main, around = down.main(before, width), down.shortcut(before, width)
        after = total(main, size)[2]
        first, *others = block.subblocks
        if down.inside:
            panels = [self._subblock(first, width, size, before, down)]
        else:
            words = f"downsampling: {down.kind}"
            key = (down, before, width, size)
            panels = (
                [self._panel(key, lambda: stack_layers(main, around, before, size, down.behind(width)), words)]
                if main
                else []
            )
            panels.append(self._subblock(first, width, after))
        return self._block(panels + [self._subblock(sub, width, after) for sub in others])

    def _add_stage(self, name: str, output: str, blocks: list[int]) -> None:
        params, macs = (sum(self.blocks[block][what] for block in blocks) for what in (0, 1))
        self.stages.append([name, output, params, macs, blocks])

    def _block(self, panels: list[int]) -> int:
        number, new = self._number("block", tuple(panels))
        if new:
            self.blocks.append([*(sum(self._costs[panel][what] for panel in panels) for what in (0, 1)), panels])
        return number

    def _subblock(
        self, sub: SubBlock, width: int, size: Size, before: int | None = None, down: Downsample | None = None
    ) -> int:
        sign = self._number("sub", tuple(sub.signature))[0]
        key = (sign, width, size, before, down)
        return self._panel(key, lambda: stack_subblock(sub, width, size, before, down), format_subblock(sub), sign)

    def _panel(self, key: Hashable, stacked: Callable[[], Stacked], words: str, sign: int = -1) -> int:
        number, new = self._number("panel", key)
        if new:
            found = stacked()
            panel = lay_out(found, DETAILED)
            kinds = "".join(_LETTER[row.kind] for row in found.rows)
            self.panels.append([panel.width, panel.height, kinds, words, sign, panel_svg(panel, DETAILED)])
            self._costs.append((sum(row.params for row in found.rows), sum(row.macs for row in found.rows)))
        return number
