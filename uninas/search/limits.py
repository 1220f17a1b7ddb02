"""What a space bounds beside cost: sizes of graphs, stages and the network, and what keeps numbers finite."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field, model_validator

from ..genotype import BlockGraph, Genotype, Ref, Stage
from ..ops import Grid, Matmul1, Matmul2, Softmax
from .constraints import Limits


class SpaceLimits(Limits):
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
    def _widths(self) -> SpaceLimits:
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


class GraphMeasure(NamedTuple):
    """What is bounded in one graph."""

    nodes: int
    expansion: float
    heads: int
    affinities: int
    unsafe: int
    """matmul2 that some path from a matmul1 reaches without a softmax: its products would grow from block to block."""


@lru_cache(maxsize=1024)
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
    """The largest of each measure in a stage, by the name of its limit.

    Args:
        attention: whether the stage may hold query-key grids; if not, all that it holds are counted.
    """
    graphs = [measure_graph(sub.graph, stage.width) for _, _, sub in stage.subblocks]
    found: Measures = {name: max(getattr(m, name) for m in graphs) for name in ("nodes", "expansion", "heads")}
    found["affinities"] = max(m.affinities for m in graphs)
    found["unsafe"] = sum(m.unsafe for m in graphs)
    found["foreign_attention"] = 0 if attention else sum(m.affinities for m in graphs)
    found["subblocks"] = max(len(block.subblocks) for block in stage.blocks)
    found["blocks"] = len(stage.blocks)
    found["max_width"], found["min_width"] = stage.width, -stage.width
    return found


def faults(
    limits: SpaceLimits, genotype: Genotype, attention_stages: frozenset[int], parent: Genotype | None = None
) -> Iterator[tuple[str, str]]:
    """(path, limit) of every limit that `genotype` breaks.

    Args:
        attention_stages: indices of stages that may hold query-key grids.
        parent: a genotype with as many stages; what it breaks already, its child may break as much.
    """
    bounds = {name: getattr(limits, name) for name in ("nodes", "expansion", "heads", "affinities", "subblocks")}
    bounds |= {"blocks": limits.blocks, "max_width": limits.max_width, "min_width": -limits.min_width}
    bounds |= {"unsafe": 0, "foreign_attention": 0}
    for i, stage in enumerate(genotype.stages):
        if parent is not None and stage is parent.stages[i]:
            continue
        attention = i in attention_stages
        before = measure_stage(parent.stages[i], attention) if parent is not None else {}
        for name, value in measure_stage(stage, attention).items():
            if value > max(bounds[name], before.get(name, bounds[name])):
                yield f"stages[{i}]", name
    depth = sum(len(stage.blocks) for stage in genotype.stages)
    allowed = max(limits.depth, sum(len(stage.blocks) for stage in parent.stages) if parent is not None else 0)
    if depth > allowed:
        yield "stages", "depth"
