"""Putting something on an edge of a graph."""

from __future__ import annotations

from random import Random

from ....blocks.library import heads_for
from ....genotype import Ref
from ....ops import Grid, Op, make
from ..alphabet import Alphabet
from ..editor import Edge, GraphEditor


def neighbours(editor: GraphEditor, edge: Edge) -> tuple[Op | None, Op | None]:
    """The operations at the two ends of an edge; None at the input and the output of the graph."""
    return editor.ops.get(editor.ref(edge).node), editor.ops.get(edge[0])


def insert(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Puts an operation that keeps the shape on an edge."""
    edge = rng.choice(editor.edges())
    ref = editor.ref(edge)
    op = alphabet.keeping(editor.values[ref], rng, neighbours(editor, edge))
    if op is None:
        return False
    editor.connect([edge], editor.add(op, ref))
    return True


def attention(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Puts multi-head self-attention with heads of about 32 channels on an edge of the full grid."""
    if not alphabet.attention or not alphabet.has("conv", "chunk", "matmul1", "softmax", "matmul2"):
        return False
    edge = rng.choice(editor.edges())
    start = editor.ref(edge)
    value = editor.values[start]
    if value.grid is not Grid.FULL:
        return False
    heads = heads_for(value.channels)

    def add(name: str, *inputs: Ref, **attributes: object) -> Ref:
        return editor.add(alphabet.draw(name, rng, **attributes), *inputs)

    qkv = editor.add(make("conv", {"ratio": 3}), start)
    q, k, v = editor.ports(add("chunk", qkv, parts=3))
    affinity = add("matmul1", q, k, heads=heads)
    if "rel_pos_bias" in alphabet and rng.random() < 0.5:
        affinity = add("rel_pos_bias", affinity)
    mixed = add("matmul2", add("softmax", affinity), v, heads=heads)
    editor.connect([edge], mixed)
    return True
