"""Taking something out of a graph. Dead nodes go with it."""

from __future__ import annotations

from random import Random

from ....genotype import Ref
from ..alphabet import Alphabet
from ..editor import GraphEditor


def remove(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Takes out one node, or the shortest stretch with it at the end that can go without changing shapes."""
    if not editor.order:
        return False
    node = rng.choice(editor.order)
    value = editor.values[Ref(node)]
    equal = [position for position, source in enumerate(editor.inputs(node)) if source == value]
    if equal and editor.ops[node].outputs == 1:
        editor.bypass(node, rng.choice(equal))
        return True
    for region in editor.regions_ending_at(node):
        if editor.values[region.entry] == value:
            editor.connect(region.outer, region.entry)
            return True
    return False


def remove_region(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Takes out a stretch with one entry and one exit of equal shape, however long."""
    region = editor.any_region(rng)
    if region is None or editor.values[region.entry] != editor.values[region.exit]:
        return False
    editor.connect(region.outer, region.entry)
    return True


def unwrap(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Takes out the two ends of a stretch and keeps what is between: expand .. reduce, pool .. upsample."""
    region = editor.any_region(rng)
    if region is None or len(region.inner) != 1 or editor.values[region.entry] != editor.values[region.exit]:
        return False
    first, last = region.inner[0][0], region.exit.node
    if first == last or any(editor.ops[node].arity != 1 or editor.ops[node].outputs > 1 for node in (first, last)):
        return False
    if editor.values[Ref(first)] == editor.values[region.entry]:
        return False  # nothing is wrapped: taking out two unrelated nodes would be two moves
    editor.bypass(last)
    editor.bypass(first)
    return True
