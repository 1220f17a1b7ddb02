"""Putting something on an edge of a graph."""

from __future__ import annotations

from random import Random

from ...blocks.library import heads_for
from ...genotype import Ref
from ...ops import Grid, Op, make
from ..alphabet import Alphabet
from ..sketch import Edge, Sketch


def neighbours(sketch: Sketch, edge: Edge) -> tuple[Op | None, Op | None]:
    """The operations at the two ends of an edge; None at the input and the output of the graph."""
    return sketch.ops.get(sketch.ref(edge).node), sketch.ops.get(edge[0])


def insert(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Puts an operation that keeps the shape on an edge."""
    edge = rng.choice(sketch.edges())
    ref = sketch.ref(edge)
    op = alphabet.keeping(sketch.values[ref], rng, neighbours(sketch, edge))
    if op is None:
        return False
    sketch.connect([edge], sketch.add(op, ref))
    return True


def attention(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Puts multi-head self-attention with heads of about 32 channels on an edge of the full grid."""
    if not alphabet.attention or not alphabet.has("conv", "chunk", "matmul1", "softmax", "matmul2"):
        return False
    edge = rng.choice(sketch.edges())
    start = sketch.ref(edge)
    value = sketch.values[start]
    if value.grid is not Grid.FULL:
        return False
    heads = heads_for(value.channels)

    def add(name: str, *inputs: Ref, **attributes: object) -> Ref:
        return sketch.add(alphabet.draw(name, rng, **attributes), *inputs)

    qkv = sketch.add(make("conv", {"ratio": 3}), start)
    q, k, v = sketch.ports(add("chunk", qkv, parts=3))
    affinity = add("matmul1", q, k, heads=heads)
    if "rel_pos_bias" in alphabet and rng.random() < 0.5:
        affinity = add("rel_pos_bias", affinity)
    mixed = add("matmul2", add("softmax", affinity), v, heads=heads)
    sketch.connect([edge], mixed)
    return True
