"""Changing a node where it stands: another operation, or another value of an attribute."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

from ....genotype import Ref
from ....ops import Conv, Matmul1
from ..alphabet import Alphabet, turns
from ..editor import GraphEditor
from ..heads import with_heads


def swap(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Replaces an operation with another one that gives the same shape."""
    if not editor.order:
        return False
    node = rng.choice(editor.order)
    op = editor.ops[node]
    outputs = [editor.values[Ref(node, port)] for port in range(op.outputs)]
    for other in alphabet.candidates(editor.inputs(node), outputs, rng):
        if other.name != op.name:
            editor.ops[node] = other
            return True
    return False


def change_attribute(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Gives a node another kernel, number of groups, band, ...: whatever the space offers and keeps the shape."""
    if not editor.order:
        return False
    node = rng.choice(editor.order)
    op = editor.ops[node]
    outputs = [editor.values[Ref(node, port)] for port in range(op.outputs)]
    variants = alphabet.variants(op)
    rng.shuffle(variants)
    for name, value in variants:
        other = replace(op, **{name: value})
        if turns(other, editor.inputs(node), outputs):
            editor.ops[node] = other
            return True
    return False


def change_ratio(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Changes the ratios of an expand .. reduce or reduce .. expand pair together."""
    region = editor.any_region(rng)
    ratios = [Fraction(ratio) for ratio in alphabet.ratios()]
    if region is None or len(region.inner) != 1 or not ratios:
        return False
    first, last = region.inner[0][0], region.exit.node
    opening, closing = editor.ops[first], editor.ops[last]
    if not isinstance(opening, Conv) or not isinstance(closing, Conv) or opening.ratio * closing.ratio != 1:
        return False
    if opening.ratio == 1:
        return False
    ratio = rng.choice(ratios)
    ratio = ratio if opening.ratio > 1 else 1 / ratio
    editor.ops[first] = replace(opening, ratio=ratio)
    editor.ops[last] = replace(closing, ratio=1 / ratio)
    return True


def change_heads(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Doubles, halves, triples or thirds the heads of one matmul1, and of the matmul2 that use its affinities."""
    grids = [node for node in editor.order if isinstance(editor.ops[node], Matmul1)]
    if not grids:
        return False
    chosen = rng.choice(grids)
    old = editor.ops[chosen].attributes()["heads"]
    channels = editor.inputs(chosen)[0].channels
    offered = {old * 2, old * 3, *(old // n for n in (2, 3) if old % n == 0)}
    fitting = sorted(n for n in offered if channels % n == 0 and channels // n >= MIN_HEAD_WIDTH)
    if not fitting:
        return False
    heads = rng.choice(fitting)
    changed = with_heads(editor.build(), editor.width, lambda node, op, value: heads if node == chosen else op.heads)
    editor.ops.update(changed.ops)
    return True


MIN_HEAD_WIDTH = 8
"""Channels below which a head is not made narrower."""
