"""Putting a stretch of a graph - or a bare edge - between two new ends, or beside a new branch."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from ....genotype import Ref
from ....ops import Grid, make
from ..alphabet import Alphabet
from ..editor import GraphEditor, Region
from .insert import neighbours


def _region(editor: GraphEditor, rng: Random) -> Region | None:
    """A bare edge or a stretch with nodes in it, equally likely."""
    if rng.random() < 0.5:
        return editor.bare(rng.choice(editor.edges()))
    return editor.any_region(rng)


def _pointwise(editor: GraphEditor, x: Ref, ratio: Fraction) -> Ref:
    """A dense 1 x 1 convolution that changes the width."""
    return editor.add(make("conv", {"ratio": ratio}), x)


def _scale(editor: GraphEditor, alphabet: Alphabet, rng: Random, ratio: Fraction) -> bool:
    """x -> convolution by `ratio` -> stretch -> convolution back; a bare edge gets an activation in between."""
    region = _region(editor, rng)
    if region is None:
        return False
    end = editor.through(region, _pointwise(editor, region.entry, ratio))
    if not region.inner and "gelu" in alphabet:  # two linear maps in a row would be one
        end = editor.add(alphabet.draw("gelu", rng), end)
    editor.connect(region.outer, _pointwise(editor, end, 1 / ratio))
    return True


def expand(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch at more channels: expand, stretch, reduce."""
    ratios = alphabet.ratios()
    return bool(ratios) and _scale(editor, alphabet, rng, Fraction(rng.choice(ratios)))


def reduce(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch at fewer channels: reduce, stretch, expand."""
    ratios = alphabet.ratios()
    return bool(ratios) and _scale(editor, alphabet, rng, 1 / Fraction(rng.choice(ratios)))


def pool(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch on the global average and spreads the result over the grid."""
    region = _region(editor, rng)
    if not alphabet.has("global_avg_pool", "upsample") or region is None:
        return False
    if editor.values[region.entry].grid is not Grid.FULL:
        return False
    end = editor.through(region, editor.add(alphabet.draw("global_avg_pool", rng), region.entry))
    editor.connect(region.outer, editor.add(alphabet.draw("upsample", rng), end))
    return True


def _or_new(editor: GraphEditor, alphabet: Alphabet, rng: Random, region: Region) -> Ref | None:
    """Where a stretch comes out; for a bare edge, where a new operation put behind it comes out."""
    if region.inner:
        return region.exit
    op = alphabet.keeping(editor.values[region.entry], rng, neighbours(editor, region.outer[0]))
    return editor.add(op, region.entry) if op is not None else None


def split(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch on a part of the channels: chunk, stretch on the first part, concat."""
    region = _region(editor, rng)
    if not alphabet.has("chunk", "concat") or region is None:
        return False
    chunk = editor.add(alphabet.draw("chunk", rng), region.entry)
    first, *rest = editor.ports(chunk)
    end = editor.through(region, first)
    if not region.inner:
        value = editor.values[region.entry]
        op = alphabet.keeping(value, rng, neighbours(editor, region.outer[0]))
        if op is None:
            return False
        end = editor.add(op, end)
    editor.connect(region.outer, editor.add(alphabet.draw("concat", rng), end, *rest))
    return True


def branch(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Adds the entry of a stretch to its exit; for a bare edge, adds a new operation on it."""
    region = _region(editor, rng)
    if "add" not in alphabet or region is None:
        return False
    end = _or_new(editor, alphabet, rng, region)
    if end is None or editor.values[region.entry] != editor.values[region.exit]:
        return False
    editor.connect(region.outer, editor.add(alphabet.draw("add", rng), region.entry, end))
    return True


def gate(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Multiplies the entry of a stretch with the sigmoid of its exit, or the other way round."""
    region = _region(editor, rng)
    if "multiply" not in alphabet or region is None:
        return False
    end = _or_new(editor, alphabet, rng, region)
    if end is None or editor.values[region.entry] != editor.values[region.exit]:
        return False
    pair = [region.entry, end]
    rng.shuffle(pair)
    editor.connect(region.outer, editor.add(alphabet.draw("multiply", rng, gate="sigmoid"), *pair))
    return True


def squeeze_excite(editor: GraphEditor, alphabet: Alphabet, rng: Random) -> bool:
    """Puts x * sigmoid(upsample(expand(gelu(reduce(global average of x))))) on an edge of the full grid."""
    edge = rng.choice(editor.edges())
    x = editor.ref(edge)
    ratios = alphabet.ratios()
    if not ratios or not alphabet.has("global_avg_pool", "upsample", "multiply", "gelu"):
        return False
    if editor.values[x].grid is not Grid.FULL:
        return False
    ratio = Fraction(rng.choice(ratios))
    pooled = editor.add(alphabet.draw("global_avg_pool", rng), x)
    hidden = editor.add(alphabet.draw("gelu", rng), _pointwise(editor, pooled, 1 / ratio))
    excite = editor.add(alphabet.draw("upsample", rng), _pointwise(editor, hidden, ratio))
    editor.connect([edge], editor.add(alphabet.draw("multiply", rng, gate="sigmoid"), x, excite))
    return True
