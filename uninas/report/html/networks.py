"""Networks as the page gets them: what they share is there once, as numbers into lists of panels, blocks and stages.

Candidates of a search are small changes of one another, so 10,000 networks take a few megabytes. Panels are drawn
here, by the templates of `uninas draw`; the page's script puts them where they belong.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ...genotype import Block, Cost, Genotype, Stage, SubBlock
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
        """[parameters, MACs, [panel of a sub-block, ...]]; a first element -1 stands for downsampling before it."""
        self.stages: list[list[Any]] = []
        """[name, output, parameters, MACs, [block, ...]]."""
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
        number, new = self._number("stage", (name, tuple(layers), channels, size))
        if new:
            params, macs, after = total(layers, size)
            panel = self._panel((tuple(layers), channels, size), lambda: stack_layers(layers, [], channels, size), name)
            out = getattr(layers[-1], "out_features", 0)
            width = [channels, *(layer.out_channels for layer in layers if isinstance(layer, ConvLayer))][-1]
            output = f"{out} classes" if out else f"{width} · {after[0]}×{after[1]}"
            block = self._block((name, panel), Cost(params, macs), [panel])
            self.stages.append([name, output, params, macs, [block]])
        return number

    def _stage(self, index: int, stage: Stage, before: int, size: Size) -> tuple[int, Size]:
        after = total(stage.downsample.main(before, stage.width), size)[2]
        content = tuple(tuple(tuple(sub.signature) for sub in block.subblocks) for block in stage.blocks)
        number, new = self._number("stage", (index, stage.width, stage.downsample, content, before, size))
        if new:
            blocks = []
            for j, block in enumerate(stage.blocks):
                first = j == 0
                blocks.append(
                    self._stage_block(block, stage, before if first else stage.width, size if first else after, first)
                )
            params, macs = (sum(self.blocks[block][what] for block in blocks) for what in (0, 1))
            name = f"stage {index + 1}"
            self.stages.append([name, f"{stage.width} · {after[0]}×{after[1]}", params, macs, blocks])
        return number, after

    def _stage_block(self, block: Block, stage: Stage, before: int, size: Size, first: bool) -> int:
        """A block in its place; the first of a stage does the downsampling, or has it before."""
        down = stage.downsample if first and stage.downsample.kind != "none" else None
        panels, costs, width = [], [], stage.width
        if down is not None and down.kind != "pool":
            main, around = down.main(before, width), down.shortcut(before, width)
            place = (down, before, width, size)
            channels, at = before, size
            panels.append(
                self._panel(place, lambda: stack_layers(main, around, channels, at), f"downsampling: {down.kind}")
            )
            costs += [total(main, size)[:2], total(around, size)[:2]]
            before, size, down = width, total(main, size)[2], None
        for sub in block.subblocks:
            place = (tuple(sub.signature), width, before, size, down)
            panels.append(self._subblock(place, sub))
            costs.append(self._cost(place, sub))
            size = total(down.main(before, width), size)[2] if down is not None else size
            before, down = width, None
        return self._block(tuple(panels), Cost(*(sum(cost[i] for cost in costs) for i in (0, 1))), panels)

    def _block(self, key: Hashable, cost: Cost, panels: list[int]) -> int:
        number, new = self._number("block", key)
        if new:
            self.blocks.append([cost.params, cost.macs, panels])
        return number

    def _subblock(self, place: tuple, sub: SubBlock) -> int:
        _, width, before, size, down = place
        sign = self._number("sub", place[0])[0]
        return self._panel(place, lambda: stack_subblock(sub, width, size, before, down), format_subblock(sub), sign)

    def _cost(self, place: tuple, sub: SubBlock) -> tuple[int, int]:
        """Parameters and MACs of a sub-block with its frame, as `uninas.genotype.cost` counts them."""
        _, width, before, size, down = place
        inside, after = list(sub.frame(before, width)), size
        params, macs, _ = total(inside, size)
        if down is not None:
            for layers in ([down.shortcut(before, width)] if sub.residual else []) + [down.main(before, width)]:
                p, m, after = total(layers, size)
                params, macs = params + p, macs + m
        graph = sub.graph.cost(width, after)
        return params + graph.params, macs + graph.macs

    def _panel(self, key: Hashable, stacked: Any, words: str, sign: int = -1) -> int:
        number, new = self._number("panel", key)
        if new:
            found: Stacked = stacked()
            panel = lay_out(found, DETAILED)
            kinds = "".join(_LETTER[row.kind] for row in found.rows)
            self.panels.append([panel.width, panel.height, kinds, words, sign, panel_svg(panel, DETAILED)])
        return number
