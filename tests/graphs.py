"""Random valid graphs and small genotypes for tests."""

from __future__ import annotations

import importlib.util
import random
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from uninas import GenotypeError
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


def one_graph(graph: object) -> dict[str, Any]:
    """The data of the shortest file around a graph."""
    return {"schema_version": 1, "stages": [{"width": WIDTH, "blocks": [{"subblocks": [{"graph": graph}]}]}]}
