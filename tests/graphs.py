"""Random valid graphs and small genotypes for tests."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from uninas import GenotypeError
from uninas.blocks import network
from uninas.genotype import (
    Block,
    BlockGraph,
    Downsample,
    Genotype,
    GraphBuilder,
    Ref,
    Stage,
    Stem,
    StemConv,
    SubBlock,
)
from uninas.ops import Grid, Op, Value, make
from uninas.ops.conv import RATIOS


def benchmark(name: str) -> ModuleType:
    """A script of benchmarks/ as a module."""
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


WIDTH = 8
"""Channels at which `random_graph` is valid."""

CHOICES = [
    *(make("conv", {"kernel": k, "groups": g}) for k, g in ((1, 1), (1, 2), (3, 1), (3, 4))),
    *(make("conv", {"ratio": r, "bias": b}) for r, b in ((2, True), ("1/2", False), (3, True))),
    make("dwconv"),
    make("dwconv", {"kernel": 5, "bias": True}),
    *(make(name) for name in ("batch_norm", "layer_norm", "rms_norm", "gelu", "relu", "silu", "hardswish", "sigmoid")),
    make("group_norm", {"groups": 2}),
    *(make(name) for name in ("softmax", "max_pool", "avg_pool", "global_avg_pool", "upsample")),
    make("layer_scale", {"init": 0.5}),
    make("mask", {"band": 2}),
    *[make("mask", {"band": 3, "fill": "exclude"})] * 3,
    *[make("rel_pos_bias", {"size": 3})] * 5,
    make("chunk"),
    make("concat"),
    make("add"),
    make("multiply"),
    make("multiply", {"gate": "none"}),
    *(make(name, {"heads": heads}) for name in ("matmul1", "matmul2") for heads in (1, 2)),
]
"""Operations that `random_graph` draws from; no dropout, so that a forward in training mode can be compared."""


def random_graph(rng: random.Random, nodes: int) -> BlockGraph:
    """A graph of about `nodes` nodes, valid for WIDTH channels; some of its nodes may be dead."""
    b = GraphBuilder()
    values: dict[Ref, Value] = {b.input: Value(WIDTH)}
    for _ in range(nodes):
        _grow(b, values, rng.choice(CHOICES), rng)
    used = {ref for refs in b.sources.values() for ref in refs}
    ends = [_close(b, ref, value) for ref, value in values.items() if ref not in used]
    merged = [ref for ref in ends if ref is not None][-4:] or [b.input]
    return b.build(b.add("add", *merged) if len(merged) > 1 else merged[0])


def _grow(b: GraphBuilder, values: dict[Ref, Value], op: Op, rng: random.Random) -> None:
    """Adds `op` on inputs that fit it, the latest ones more likely; or nothing."""
    first = rng.choice(list(values)[-rng.choice((2, 6, 99)) :])
    wanted = Value(WIDTH) if op.name == "matmul2" else values[first]
    alike = [ref for ref, value in values.items() if value == wanted]
    more = {1: 0, 2: 1, None: 1 if op.name == "multiply" else rng.choice((1, 1, 2))}[op.arity]
    inputs = (first, *rng.choices(alike, k=more))
    try:
        outputs = op.infer(tuple(values[ref] for ref in inputs))
    except GenotypeError:
        return
    if max(value.channels for value in outputs) <= 4 * WIDTH:
        values.update(zip(b.ports(b.add(op, *inputs)), outputs))


def _close(b: GraphBuilder, ref: Ref, value: Value) -> Ref | None:
    """Brings a value back to the shape of the input, where that is easy."""
    if value.grid is Grid.PAIR and value.channels in (1, 2):
        return b.add("matmul2", b.add("softmax", ref), b.input, heads=value.channels)
    if value.grid is Grid.PAIR or Fraction(WIDTH, value.channels) not in RATIOS:
        return None
    if value.channels != WIDTH:
        ref = b.add("conv", ref, ratio=Fraction(WIDTH, value.channels))
    return b.add("upsample", ref) if value.grid is Grid.POINT else ref


def graphs(max_nodes: int = 25) -> st.SearchStrategy[BlockGraph]:
    """Random graphs, for hypothesis."""

    def make_one(seed: int, nodes: int) -> BlockGraph:
        return random_graph(random.Random(seed), nodes)

    return st.builds(make_one, st.integers(0, 2**32), st.integers(0, max_nodes))


def wrap(*written: BlockGraph, width: int = WIDTH, **frame: object) -> Genotype:
    """A network of one stage and one block around graphs, at full resolution: stem conv 1x1, no downsampling."""
    block = Block(tuple(SubBlock(graph, **frame) for graph in written))  # type: ignore[arg-type]
    return Genotype((Stage(width, (block,), Downsample("none")),), Stem((StemConv(width, 1),)))


def small_published(name: str) -> dict[str, tuple[int, ...]]:
    """Widths and depths with which `network` makes a small one of that kind."""
    stages = range(len(network(name).stages))
    return {"widths": tuple(32 + 32 * (i // 2) for i in stages), "depths": tuple(1 + i % 2 for i in stages)}


def one_graph(graph: object) -> dict[str, Any]:
    """The data of the shortest file around a graph."""
    return {"schema_version": 1, "stages": [{"width": WIDTH, "blocks": [{"subblocks": [{"graph": graph}]}]}]}


def branching_graph(rng: random.Random) -> BlockGraph:
    """Parallel branches, mostly equal, forked and merged in many ways: what rewriting passes look for, and near misses.

    Valid for 3 * WIDTH channels.
    """
    b = GraphBuilder()
    x = _fork_and_merge(b, b.input, 3 * WIDTH, rng, depth=rng.choice((0, 0, 1)))
    if rng.random() < 0.3:
        x = _fork_and_merge(b, x, 3 * WIDTH, rng, depth=0)
    if rng.random() < 0.5:
        other = b.chain(b.input, "global_avg_pool", "upsample")
        gate = b.chain(other, *rng.choices(["relu", "gelu", "sigmoid"], k=rng.randint(0, 2)))
        op = rng.choice([make("multiply"), make("multiply", {"gate": "none"}), make("add")])
        x = b.add(op, *rng.choice([(x, gate), (gate, x), (gate, other), (gate, gate)]))
    return b.build(x)


def _fork_and_merge(b: GraphBuilder, x: Ref, channels: int, rng: random.Random, depth: int) -> Ref:
    count = rng.choice((2, 3))
    if rng.random() < 0.6:
        starts, width = list(b.ports(b.add("chunk", x, parts=count))), channels // count
    else:
        starts, width = [x] * count, channels
    attends = rng.random() < 0.4
    written = _attention(width, rng) if attends else _chain(rng)
    ends = []
    for start in starts:
        end = written(b, start)
        if rng.random() < 0.1:
            end = b.add(rng.choice(["gelu", "batch_norm", "conv"]), end)
        ends.append(_fork_and_merge(b, end, width, rng, depth - 1) if depth and width % 6 == 0 else end)
    if rng.random() < 0.15:
        rng.shuffle(ends)
    if rng.random() < 0.1:
        ends[0] = ends[1]
    joined = sum((width for _ in ends), 0)
    merge = "concat" if rng.random() < 0.8 or joined == channels else "add"
    out = b.add(merge, *ends)
    if rng.random() < 0.1:
        out = b.add("add", out, out)
    total = joined if merge == "concat" else width
    return out if total == channels else b.add("conv", out, ratio=Fraction(channels, total))


def _chain(rng: random.Random) -> Callable[[GraphBuilder, Ref], Ref]:
    """The same operations for every branch."""
    ops = [make("conv", {"kernel": k, "bias": bias}) for k, bias in ((1, True), (3, False))]
    ops += [make(name) for name in ("dwconv", "gelu", "relu", "max_pool", "softmax", "batch_norm", "layer_norm")]
    ops += [make("conv", {"groups": 2}), make("layer_scale", {"init": 0.5})]
    found = rng.choices(ops, k=rng.randint(0, 3))
    return lambda b, x: b.chain(x, *found)


def _attention(width: int, rng: random.Random) -> Callable[[GraphBuilder, Ref], Ref]:
    """Self-attention with biases and masks in any order, the same for every branch but for some of these."""
    heads = rng.choice([n for n in (1, 2, 4) if width % n == 0])
    masks = [make("mask", {"band": 3, "fill": "exclude"}), make("mask", {"band": 4})]
    extras = [make("rel_pos_bias", {"size": 3}), *masks]
    common = rng.choices(extras, k=rng.randint(0, 2))
    projected = rng.random() < 0.5

    def write(b: GraphBuilder, x: Ref) -> Ref:
        q, k, v = (b.add("conv", x) if projected else b.add("gelu", x) for _ in range(3))
        a = b.add("matmul1", q, k, heads=heads)
        a = b.chain(a, *(common if rng.random() < 0.9 else rng.choices(extras, k=1)))
        a = b.add("softmax", a) if rng.random() < 0.97 else a
        return b.add("matmul2", a, v, heads=heads)

    return write
