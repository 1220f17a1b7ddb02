"""A known network with other widths and depths, so that it costs as much as what it is compared with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from ..errors import GenotypeError
from ..genotype import Genotype, NetworkCost, cost
from ..units import format_count
from .networks import network

STEPS = tuple(n / 20 for n in range(8, 41))
"""Factors of all widths, and of the first width against the last (evenly in between): .4 to 2."""
DEEPER = (0, -1, 1)
"""Blocks more in a stage."""


def of_equal_size(
    name: str,
    like: Genotype,
    params: tuple[int, int],
    macs: tuple[int, int],
    input_size: int,
    num_classes: int,
    multiple: int = 16,
) -> Genotype:
    """The known network `name` at a given cost: of all that fit, the nearest to `like` in widths and depths.

    Only widths and numbers of blocks change, never a block or the stem. Nearest is the least sum of the absolute
    logarithms of all ratios of widths and of depths.

    Args:
        name: a name of `uninas.blocks.network` whose blocks and stem `like` has.
        like: where to begin: its stem, widths and depths.
        params: fewest and most parameters, with a head of `num_classes`.
        macs: fewest and most multiply-adds of an image of `input_size` pixels a side.
        multiple: widths are multiples of it.

    Raises:
        GenotypeError: nothing within reach fits; the message has what comes nearest.
    """
    nearest: tuple[float, NetworkCost] | None = None
    for _, widths, depths in sorted(_shapes(like, multiple)):
        try:
            found = network(name, widths=widths, depths=depths, stem=like.stem, input_size=input_size)
        except GenotypeError:  # widths that the blocks cannot have
            continue
        counted = cost(found, input_size, num_classes)
        miss = _miss(counted.params, params) + _miss(counted.macs, macs)
        if not miss:
            return found
        if nearest is None or miss < nearest[0]:
            nearest = miss, counted
    wanted = f"{_span(params)} parameters and {_span(macs)} MACs at {input_size} x {input_size}"
    closest = nearest[1] if nearest else None
    reached = f"; the nearest has {format_count(closest.params)} and {format_count(closest.macs)}" if closest else ""
    raise GenotypeError(f"{name}: no widths and depths near its own give {wanted}{reached}", "name")


def _shapes(like: Genotype, multiple: int) -> Iterator[tuple[float, tuple[int, ...], tuple[int, ...]]]:
    """(distance from `like`, widths, depths) of everything in reach, each once."""
    own_widths = [stage.width for stage in like.stages]
    own_depths = [len(stage.blocks) for stage in like.stages]
    last = max(len(own_widths) - 1, 1)
    profiles = {
        tuple(
            max(multiple, round(width * scale * tilt ** (1 - i / last) / multiple) * multiple)
            for i, width in enumerate(own_widths)
        )
        for scale in STEPS
        for tilt in STEPS
    }
    all_depths = {
        tuple(max(1, depth + more) for depth, more in zip(own_depths, change))
        for change in itertools.product(DEEPER, repeat=len(own_depths))
    }
    for widths, depths in itertools.product(profiles, all_depths):
        ratios = itertools.chain(zip(widths, own_widths), zip(depths, own_depths))
        yield sum(abs(math.log(after / before)) for after, before in ratios), widths, depths


def _miss(value: int, span: tuple[int, int]) -> float:
    low, high = span
    return max(0.0, math.log(value / high), math.log(low / value))


def _span(span: tuple[int, int]) -> str:
    return f"{format_count(span[0])} to {format_count(span[1])}"
