"""Moves: small random edits. Each takes (genotype, space, rng) and gives a new genotype, or None for no place.

A move may also raise GenotypeError: its edit did not fit. Whether a child stays within the space's bounds is checked
by `uninas.search.space.neighbourhood`, once, for all moves.
"""

from __future__ import annotations

from .attributes import change_attribute, change_heads, change_ratio, swap
from .base import Move, Surroundings, on_graph
from .frame import change_activation, change_downsample, change_head, change_norm, change_residual, change_stem
from .insert import attention, insert
from .network import add_block, add_subblock, change_width, copy_block, remove_block, remove_subblock
from .remove import remove, remove_region, unwrap
from .wrap import branch, expand, gate, pool, reduce, split, squeeze_excite

MOVES: dict[str, Move] = {
    # Taking away.
    "remove": on_graph(remove),
    "remove_region": on_graph(remove_region),
    "unwrap": on_graph(unwrap),
    "remove_subblock": remove_subblock,
    "remove_block": remove_block,
    # Adding to a graph.
    "insert": on_graph(insert),
    "expand": on_graph(expand),
    "reduce": on_graph(reduce),
    "pool": on_graph(pool),
    "split": on_graph(split),
    "branch": on_graph(branch),
    "gate": on_graph(gate),
    "squeeze_excite": on_graph(squeeze_excite),
    "attention": on_graph(attention),
    # Changing a node.
    "swap": on_graph(swap),
    "change_attribute": on_graph(change_attribute),
    "change_ratio": on_graph(change_ratio),
    "change_heads": on_graph(change_heads),
    # Changing the network.
    "add_subblock": add_subblock,
    "add_block": add_block,
    "copy_block": copy_block,
    "change_width": change_width,
    # Changing what surrounds the graphs.
    "change_norm": change_norm,
    "change_residual": change_residual,
    "change_activation": change_activation,
    "change_downsample": change_downsample,
    "change_stem": change_stem,
    "change_head": change_head,
}
"""All moves by the name that a space file gives their weight under."""

__all__ = ["MOVES", "Move", "Surroundings"]
