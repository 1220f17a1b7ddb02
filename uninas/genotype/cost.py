"""Parameters and multiply-adds of a genotype, from the operations' declarations, without building anything.

1 MAC is one multiply-add of a convolution or matrix product (half of what torch.utils.flop_counter calls FLOPs);
norms, activations, pools and other elementwise work count as none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..errors import GenotypeError
from ..ops import Size
from ..ops.layers import Layer, total
from .downsample import Downsample
from .frame import check_whole
from .genotype import Block, Genotype
from .graph import Cost


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one image through the network."""

    params: int
    """Trainable scalars of the built network, exact."""
    macs: int
    """Multiply-adds, exact."""
    input_size: Size
    """Height and width of the image."""
    num_classes: int


def cost(genotype: Genotype, input_size: int | Size = 224, num_classes: int = 1000) -> NetworkCost:
    """Exact cost for an image of `input_size` (one side, or height and width).

    Raises:
        GenotypeError: `input_size` is not a positive size, or too small for the network; `num_classes` is not a count.
    """
    size = _as_size(input_size)
    check_whole(num_classes, "num_classes", minimum=0)
    parts = [part for _, part, _ in cost_parts(genotype, size, num_classes)]
    return NetworkCost(sum(p.params for p in parts), sum(p.macs for p in parts), size, num_classes)


def cost_parts(genotype: Genotype, size: Size, num_classes: int) -> Iterator[tuple[str, Cost, Size]]:
    """(path, cost, output size) of the stem, each block and the head, in order."""
    params, macs, size = total(genotype.stem.layers(), size)
    yield "stem", Cost(params, macs), size
    before = genotype.stem.width
    for i, stage in enumerate(genotype.stages):
        downsample: Downsample | None = stage.downsample  # belongs to the first block
        for j, block in enumerate(stage.blocks):
            found, size = _block(block, downsample, before, stage.width, size)
            yield f"stages[{i}].blocks[{j}]", found, size
            downsample, before = None, stage.width
    params, macs, _ = total(genotype.head.layers(before, num_classes), size)
    yield "head", Cost(params, macs), (1, 1)


@lru_cache(maxsize=1024)  # blocks are immutable, and a search asks about the same ones again and again
def _block(block: Block, downsample: Downsample | None, before: int, width: int, size: Size) -> tuple[Cost, Size]:
    """Cost of one block behind `before` channels and its output size; `downsample` where it is the first of a stage."""
    params = macs = 0

    def count(layers: list[Layer], at: Size) -> Size:
        nonlocal params, macs
        p, m, after = total(layers, at)
        params, macs = params + p, macs + m
        return after

    for k, sub in enumerate(block.subblocks):
        down = downsample if k == 0 else None
        inside = down is not None and down.inside  # downsampling behind the norm
        count(sub.frame(before if inside else width, width), size)
        if down is not None:
            if not inside or sub.residual:
                count(down.shortcut(before, width), size)
            size = count(down.main(before, width), size)
            count(down.behind(width), size)
        graph = sub.graph.cost(width, size)
        params, macs = params + graph.params, macs + graph.macs
    return Cost(params, macs), size


def _as_size(value: int | Size) -> Size:
    size = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(size) != 2 or any(type(side) is not int or side < 1 for side in size):
        raise GenotypeError(f"a size is a positive int or (height, width), got {value!r}", "input_size")
    return size
