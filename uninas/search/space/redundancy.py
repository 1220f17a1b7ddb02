"""What in a graph adds nothing: a norm behind a norm, ReLU behind softmax, x + x, chunks that are joined again.

Operations say themselves what they are worth behind another one (`Op.redundant_behind`); here graphs are searched for
such neighbours. Operations that only rearrange entries are looked through.
"""

from __future__ import annotations

from functools import lru_cache

from ...genotype import OUTPUT, BlockGraph, Ref, SubBlock
from ...ops import Add, Chunk, Concat, Op, make
from ...ops.layers import NORMS


def subblock_redundancies(sub: SubBlock, downsampled: bool) -> tuple[str, ...]:
    """Like `redundancies`, for a graph with what its sub-block puts around it.

    Args:
        downsampled: whether layers that halve the grid lie between the norm and the graph.
    """
    norm = make(NORMS[sub.norm]) if sub.norm and not downsampled else None
    activation = make(sub.activation) if sub.activation and not sub.residual else None
    return redundancies(sub.graph, norm, activation)


@lru_cache(maxsize=4096)
def redundancies(graph: BlockGraph, before: Op | None = None, behind: Op | None = None) -> tuple[str, ...]:
    """The nodes that add nothing to what feeds them, in file order; "output" stands for `behind`.

    Args:
        before: the operation that feeds the graph's input, if there is one.
        behind: the operation that reads the graph's output.
    """
    ops, sources = graph.ops, graph.sources

    def idle(op: Op, ref: Ref) -> bool:
        producer = ops.get(ref.node, before)
        if producer is None:
            return False
        if op.redundant_behind(producer):
            return True
        return producer.rearranges and all(idle(op, source) for source in sources.get(ref.node, ()))

    found = [
        node for node, op in ops.items() if _merges_nothing(graph, node) or (_alone(op) and idle(op, *sources[node]))
    ]
    if behind is not None and idle(behind, *sources[OUTPUT]):
        found.append(OUTPUT)
    return tuple(found)


def _alone(op: Op) -> bool:
    return op.arity == 1


def _merges_nothing(graph: BlockGraph, node: str) -> bool:
    """Whether a merge adds a value to itself, or joins all parts of one chunk in their order."""
    op, refs = graph.ops[node], graph.sources[node]
    if isinstance(op, Add):
        return len(set(refs)) < len(refs)
    chunk = graph.ops.get(refs[0].node)
    if not isinstance(op, Concat) or not isinstance(chunk, Chunk):
        return False
    return refs == tuple(Ref(refs[0].node, port) for port in range(chunk.outputs))
