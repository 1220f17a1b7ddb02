"""Taking something out of a graph. Dead nodes go with it."""

from __future__ import annotations

from random import Random

from ...genotype import Ref
from ..alphabet import Alphabet
from ..sketch import Sketch


def remove(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Takes out one node, or the shortest stretch with it at the end that can go without changing shapes."""
    if not sketch.order:
        return False
    node = rng.choice(sketch.order)
    value = sketch.values[Ref(node)]
    equal = [position for position, source in enumerate(sketch.inputs(node)) if source == value]
    if equal and sketch.ops[node].outputs == 1:
        sketch.bypass(node, rng.choice(equal))
        return True
    for span in sketch.spans_ending_at(node):
        if sketch.values[span.entry] == value:
            sketch.connect(span.outer, span.entry)
            return True
    return False


def remove_region(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Takes out a stretch with one entry and one exit of equal shape, however long."""
    span = sketch.any_span(rng)
    if span is None or sketch.values[span.entry] != sketch.values[span.exit]:
        return False
    sketch.connect(span.outer, span.entry)
    return True


def unwrap(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Takes out the two ends of a stretch and keeps what is between: expand .. reduce, pool .. upsample."""
    span = sketch.any_span(rng)
    if span is None or len(span.inner) != 1 or sketch.values[span.entry] != sketch.values[span.exit]:
        return False
    first, last = span.inner[0][0], span.exit.node
    if first == last or any(sketch.ops[node].arity != 1 or sketch.ops[node].outputs > 1 for node in (first, last)):
        return False
    if sketch.values[Ref(first)] == sketch.values[span.entry]:
        return False  # nothing is wrapped: taking out two unrelated nodes would be two moves
    sketch.bypass(last)
    sketch.bypass(first)
    return True
