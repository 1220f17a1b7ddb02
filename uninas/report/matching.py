"""Which operations of two graphs are the same.

An operation of one graph is that of another if all that leads to it is the same, or all that it leads to; of what is
left, equal operations are paired in the order of the data flow, then those that differ in attributes only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from ..genotype import OUTPUT, BlockGraph


def match_nodes(first: BlockGraph, second: BlockGraph) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """(pairs, nodes of the first alone, nodes of the second alone), in the order of the data flow."""
    left, right = ([node for node in graph.flow_order if node in graph.live] for graph in (first, second))
    pairs: dict[str, str] = {}
    signs: list[tuple[Callable[[str], Hashable], Callable[[str], Hashable]]] = [
        (_upstream(first).__getitem__, _upstream(second).__getitem__),
        (_downstream(first).__getitem__, _downstream(second).__getitem__),
        (first.ops.__getitem__, second.ops.__getitem__),
        (lambda node: first.ops[node].name, lambda node: second.ops[node].name),
    ]
    for mine, theirs in signs:
        waiting: dict[Hashable, list[str]] = {}
        taken = set(pairs.values())
        for node in right:
            if node not in taken:
                waiting.setdefault(theirs(node), []).append(node)
        for node in left:
            if node not in pairs and waiting.get(mine(node)):
                pairs[node] = waiting[mine(node)].pop(0)
    taken = set(pairs.values())
    both = [(node, pairs[node]) for node in left if node in pairs]
    return both, [node for node in left if node not in pairs], [node for node in right if node not in taken]


def _upstream(graph: BlockGraph) -> dict[str, Hashable]:
    """A number for each node that stands for the operation and all that leads to it."""
    found: dict[str, Hashable] = {}
    for node in graph.flow_order:
        fed = [(found.get(ref.node, ref.node), ref.port) for ref in graph.sources[node]]
        found[node] = hash((str(graph.ops[node]), tuple(sorted(fed, key=hash) if graph.ops[node].commutative else fed)))
    return found


def _downstream(graph: BlockGraph) -> dict[str, Hashable]:
    """A number for each node that stands for the operation and all that it leads to."""
    feeds: dict[str, list[tuple[str, int, int]]] = {}
    for node, refs in graph.sources.items():
        ordered = node != OUTPUT and not graph.ops[node].commutative
        for port, ref in enumerate(refs):
            feeds.setdefault(ref.node, []).append((node, ref.port, port if ordered else 0))
    found: dict[str, Hashable] = {}
    for node in reversed(graph.flow_order):
        fed = [hash((found.get(target, target), out, into)) for target, out, into in feeds.get(node, ())]
        found[node] = hash((str(graph.ops[node]), tuple(sorted(fed))))
    return found
