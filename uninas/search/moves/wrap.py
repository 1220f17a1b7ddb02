"""Putting a stretch of a graph - or a bare edge - between two new ends, or beside a new branch."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from ...genotype import Ref
from ...ops import Grid, make
from ..alphabet import Alphabet
from ..sketch import Sketch, Span
from .insert import neighbours


def _span(sketch: Sketch, rng: Random) -> Span | None:
    """A bare edge or a stretch with nodes in it, equally likely."""
    if rng.random() < 0.5:
        return sketch.bare(rng.choice(sketch.edges()))
    return sketch.any_span(rng)


def _pointwise(sketch: Sketch, x: Ref, ratio: Fraction) -> Ref:
    """A dense 1 x 1 convolution that changes the width."""
    return sketch.add(make("conv", {"ratio": ratio}), x)


def _scale(sketch: Sketch, alphabet: Alphabet, rng: Random, ratio: Fraction) -> bool:
    """x -> convolution by `ratio` -> stretch -> convolution back; a bare edge gets an activation in between."""
    span = _span(sketch, rng)
    if span is None:
        return False
    end = sketch.through(span, _pointwise(sketch, span.entry, ratio))
    if not span.inner and "gelu" in alphabet:  # two linear maps in a row would be one
        end = sketch.add(alphabet.draw("gelu", rng), end)
    sketch.connect(span.outer, _pointwise(sketch, end, 1 / ratio))
    return True


def expand(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch at more channels: expand, stretch, reduce."""
    ratios = alphabet.ratios()
    return bool(ratios) and _scale(sketch, alphabet, rng, Fraction(rng.choice(ratios)))


def reduce(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch at fewer channels: reduce, stretch, expand."""
    ratios = alphabet.ratios()
    return bool(ratios) and _scale(sketch, alphabet, rng, 1 / Fraction(rng.choice(ratios)))


def pool(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch on the global average and spreads the result over the grid."""
    span = _span(sketch, rng)
    if not alphabet.has("global_avg_pool", "upsample") or span is None:
        return False
    if sketch.values[span.entry].grid is not Grid.FULL:
        return False
    end = sketch.through(span, sketch.add(alphabet.draw("global_avg_pool", rng), span.entry))
    sketch.connect(span.outer, sketch.add(alphabet.draw("upsample", rng), end))
    return True


def _or_new(sketch: Sketch, alphabet: Alphabet, rng: Random, span: Span) -> Ref | None:
    """Where a stretch comes out; for a bare edge, where a new operation put behind it comes out."""
    if span.inner:
        return span.exit
    op = alphabet.keeping(sketch.values[span.entry], rng, neighbours(sketch, span.outer[0]))
    return sketch.add(op, span.entry) if op is not None else None


def split(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Runs a stretch on a part of the channels: chunk, stretch on the first part, concat."""
    span = _span(sketch, rng)
    if not alphabet.has("chunk", "concat") or span is None:
        return False
    chunk = sketch.add(alphabet.draw("chunk", rng), span.entry)
    first, *rest = sketch.ports(chunk)
    end = sketch.through(span, first)
    if not span.inner:
        value = sketch.values[span.entry]
        op = alphabet.keeping(value, rng, neighbours(sketch, span.outer[0]))
        if op is None:
            return False
        end = sketch.add(op, end)
    sketch.connect(span.outer, sketch.add(alphabet.draw("concat", rng), end, *rest))
    return True


def branch(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Adds the entry of a stretch to its exit; for a bare edge, adds a new operation on it."""
    span = _span(sketch, rng)
    if "add" not in alphabet or span is None:
        return False
    end = _or_new(sketch, alphabet, rng, span)
    if end is None or sketch.values[span.entry] != sketch.values[span.exit]:
        return False
    sketch.connect(span.outer, sketch.add(alphabet.draw("add", rng), span.entry, end))
    return True


def gate(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Multiplies the entry of a stretch with the sigmoid of its exit, or the other way round."""
    span = _span(sketch, rng)
    if "multiply" not in alphabet or span is None:
        return False
    end = _or_new(sketch, alphabet, rng, span)
    if end is None or sketch.values[span.entry] != sketch.values[span.exit]:
        return False
    pair = [span.entry, end]
    rng.shuffle(pair)
    sketch.connect(span.outer, sketch.add(alphabet.draw("multiply", rng, gate="sigmoid"), *pair))
    return True


def squeeze_excite(sketch: Sketch, alphabet: Alphabet, rng: Random) -> bool:
    """Puts x * sigmoid(upsample(expand(gelu(reduce(global average of x))))) on an edge of the full grid."""
    edge = rng.choice(sketch.edges())
    x = sketch.ref(edge)
    ratios = alphabet.ratios()
    if not ratios or not alphabet.has("global_avg_pool", "upsample", "multiply", "gelu"):
        return False
    if sketch.values[x].grid is not Grid.FULL:
        return False
    ratio = Fraction(rng.choice(ratios))
    pooled = sketch.add(alphabet.draw("global_avg_pool", rng), x)
    hidden = sketch.add(alphabet.draw("gelu", rng), _pointwise(sketch, pooled, 1 / ratio))
    excite = sketch.add(alphabet.draw("upsample", rng), _pointwise(sketch, hidden, ratio))
    sketch.connect([edge], sketch.add(alphabet.draw("multiply", rng, gate="sigmoid"), x, excite))
    return True
