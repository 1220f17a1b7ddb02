"""What a space bounds beside cost: sizes of graphs, stages and the network, and what keeps numbers finite."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field, model_validator

from ...genotype import BlockGraph, Genotype, Ref, Stage
from ...ops import Grid, Matmul1, Matmul2, Softmax
from ..limits import Limits
from .redundancy import subblock_redundancies


class Bounds(Limits):
    """The `limits` of a space file. Those on cost are optional."""

    nodes: int = Field(40, ge=1)
    """Operations in a graph."""
    expansion: float = Field(8, ge=1)
    """Channels inside a graph against the width of the stage."""
    heads: int = Field(32, ge=1)
    """Channels of a query-key grid."""
    affinities: int = Field(2, ge=0)
    """Query-key grids that a graph computes."""
    subblocks: int = Field(4, ge=1)
    """Sub-blocks in a block."""
    blocks: int = Field(12, ge=1)
    """Blocks in a stage."""
    depth: int = Field(32, ge=1)
    """Blocks in the network."""
    min_width: int = Field(32, ge=1)
    max_width: int = Field(1024, ge=1)
    width_multiple: int = Field(32, ge=1)
    """Widths that moves choose are multiples of this."""

    @model_validator(mode="after")
    def _widths(self) -> Bounds:
        if self.min_width > self.max_width:
            raise ValueError(f"limits.min_width: {self.min_width} is above limits.max_width = {self.max_width}")
        return self

    def widths_near(self, width: int) -> list[int]:
        """Other admitted widths within a third of `width`, or the nearest ones if there are none."""
        step = self.width_multiple
        admitted = range(-(-self.min_width // step) * step, self.max_width + 1, step)
        others = [w for w in admitted if w != width]
        reach = max(width / 3, min((abs(w - width) for w in others), default=0))
        return [w for w in others if abs(w - width) <= reach]


RULES = {
    "unsafe": "attention without a softmax",
    "redundant": "operations that add nothing",
    "bare": "attention or a whole stage without a residual",
    "foreign_attention": "attention outside of attention_stages",
}
"""What no move adds, by the name of its measure. Networks that have it already may keep as much of it."""


class GraphMeasure(NamedTuple):
    """What is bounded in one graph."""

    nodes: int
    expansion: float
    heads: int
    affinities: int
    unsafe: int
    """matmul2 that some path from a matmul1 reaches without a softmax: its products would grow from block to block."""


@lru_cache(maxsize=4096)
def measure_graph(graph: BlockGraph, width: int) -> GraphMeasure:
    """Measures a graph in a stage of `width` channels."""
    values = graph.infer(width)
    inside = max((value.channels for value in values.values() if value.grid is not Grid.PAIR), default=width)
    heads = max((value.channels for value in values.values() if value.grid is Grid.PAIR), default=0)
    affinities = unsafe = 0
    weights: dict[Ref, bool] = {}  # of values on the query-key grid: whether every path to them has a softmax
    for node in graph.flow_order:
        op, sources = graph.ops[node], graph.sources[node]
        if isinstance(op, Matmul1):
            affinities += 1
            weights[Ref(node)] = False
        elif isinstance(op, Matmul2):
            unsafe += not weights[sources[0]]
        elif sources[0] in weights:
            normal = isinstance(op, Softmax) or all(weights[source] for source in sources)
            weights.update((Ref(node, port), normal) for port in range(op.outputs))
    return GraphMeasure(len(graph.ops), inside / width, heads, affinities, unsafe)


Measures = dict[str, float]


def measure_stage(stage: Stage, attention: bool) -> Measures:
    """The largest of each measure in a stage, by the name of its limit, and how often each of RULES is broken.

    Args:
        attention: whether the stage may hold query-key grids; if not, all that it holds are counted.
    """
    measures = [measure_graph(sub.graph, stage.width) for _, _, sub in stage.subblocks]
    found: Measures = {name: max(getattr(m, name) for m in measures) for name in ("nodes", "expansion", "heads")}
    found["affinities"] = max(m.affinities for m in measures)
    found["subblocks"] = max(len(block.subblocks) for block in stage.blocks)
    found["blocks"] = len(stage.blocks)
    found["max_width"], found["min_width"] = stage.width, -stage.width
    found["unsafe"] = sum(m.unsafe for m in measures)
    found["redundant"] = sum(
        len(subblock_redundancies(sub, downsampled=j == k == 0 and stage.downsample.inside))
        for j, k, sub in stage.subblocks
    )
    residual = [sub.residual for _, _, sub in stage.subblocks]
    found["bare"] = sum(m.affinities > 0 and not kept for m, kept in zip(measures, residual)) + (not any(residual))
    found["foreign_attention"] = 0 if attention else sum(m.affinities for m in measures)
    return found


def faults(
    bounds: Bounds, genotype: Genotype, attention_stages: frozenset[int], parent: Genotype | None = None
) -> Iterator[tuple[str, str]]:
    """(path, name) of every limit and every one of RULES that `genotype` breaks.

    Args:
        attention_stages: indices of stages that may hold query-key grids.
        parent: a genotype with as many stages; what it breaks already, its child may break as much.
    """
    most = {name: getattr(bounds, name) for name in ("nodes", "expansion", "heads", "affinities", "subblocks")}
    most |= {"blocks": bounds.blocks, "max_width": bounds.max_width, "min_width": -bounds.min_width}
    most |= dict.fromkeys(RULES, 0)
    for i, stage in enumerate(genotype.stages):
        if parent is not None and stage is parent.stages[i]:
            continue
        attention = i in attention_stages
        before = measure_stage(parent.stages[i], attention) if parent is not None else {}
        for name, value in measure_stage(stage, attention).items():
            if value > max(most[name], before.get(name, most[name])):
                yield f"stages[{i}]", name
    depth = sum(len(stage.blocks) for stage in genotype.stages)
    allowed = max(bounds.depth, sum(len(stage.blocks) for stage in parent.stages) if parent is not None else 0)
    if depth > allowed:
        yield "stages", "depth"


def describe(name: str) -> str:
    """A limit or a rule in words."""
    return RULES.get(name, f"limits.{name}")
