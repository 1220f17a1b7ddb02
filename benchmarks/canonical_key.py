"""The canonical key of block graphs beside networkx.is_isomorphic: do they agree, and what do they cost?

    python benchmarks/canonical_key.py                 5,000 pairs
    python benchmarks/canonical_key.py --pairs 500 --nodes 30 --seed 1

Half of the pairs are one graph in disguise (other ids, other order, inputs of commutative merges shuffled), half are
near misses (an input moved, two inputs swapped, a node split into twins, or twins merged), some of which are isomorphic
all the same. networkx compares operations with all attributes, and the ports at both ends of every edge. Exits with 1
on any disagreement.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

import networkx as nx

from uninas.genotype import INPUT, OUTPUT, BlockGraph, GraphBuilder, Ref
from uninas.ops import Op, make

ALPHABET: tuple[Op, ...] = (
    *(make(name) for name in ("gelu", "gelu", "batch_norm", "conv", "conv", "chunk", "concat", "concat", "add", "add")),
    *(make("multiply", {"gate": gate}) for gate in ("sigmoid", "none")),
    make("conv", {"kernel": 3}),
    make("chunk", {"parts": 3}),
    make("matmul1"),
)
"""Few operations, so that graphs look alike; shapes play no part."""

Sources = dict[str, tuple[Ref, ...]]


def random_graph(rng: random.Random, nodes: int) -> BlockGraph:
    """A random wiring of about `nodes` nodes with some twins among them; all loose ends meet in one sum."""
    b = GraphBuilder()
    refs = [b.input]
    for _ in range(nodes):
        op = rng.choice(ALPHABET)
        arity = op.arity or (2 if op == make("multiply") else rng.choice((2, 2, 3)))
        recent = refs[-rng.choice((2, 4, 99)) :]
        inputs = [rng.choice(recent) for _ in range(arity)]
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            refs += b.ports(b.add(op, *inputs))
    used = {ref for inputs in b.sources.values() for ref in inputs}
    ends = [ref for ref in refs if ref not in used] or [b.input]
    return b.build(b.add("add", *ends) if len(ends) > 1 else ends[0])


def disguised(graph: BlockGraph, rng: random.Random) -> BlockGraph:
    """The same graph with other ids, in another order, and the inputs of commutative merges shuffled."""
    order = list(graph.ops)
    rng.shuffle(order)
    names = {INPUT: INPUT, OUTPUT: OUTPUT, **{old: f"n{i}" for i, old in enumerate(order)}}
    sources: Sources = {}
    for node, refs in graph.sources.items():
        renamed = [Ref(names[ref.node], ref.port) for ref in refs]
        if node in graph.ops and graph.ops[node].commutative:
            rng.shuffle(renamed)
        sources[names[node]] = tuple(renamed)
    return BlockGraph.from_sources({names[node]: graph.ops[node] for node in order}, sources)


def moved(graph: BlockGraph, rng: random.Random) -> BlockGraph:
    """One input comes from elsewhere, without closing a cycle."""
    node = rng.choice([*graph.ops, OUTPUT])
    position = rng.randrange(len(graph.sources[node]))
    behind = nx.descendants(graph, node) | {node}
    refs = [Ref(INPUT), *(Ref(n, p) for n, op in graph.ops.items() if n not in behind for p in range(op.outputs))]
    refs.remove(graph.sources[node][position])
    return rewired(graph, {node: replaced(graph.sources[node], position, rng.choice(refs))}) if refs else graph


def swapped(graph: BlockGraph, rng: random.Random) -> BlockGraph:
    """Two inputs of a node where their order matters change places."""
    nodes = [n for n, op in graph.ops.items() if not op.commutative and len(set(graph.sources[n])) > 1]
    if not nodes:
        return moved(graph, rng)
    node = rng.choice(nodes)
    refs = list(graph.sources[node])
    i, j = rng.choice([(i, j) for i in range(len(refs)) for j in range(i) if refs[i] != refs[j]])
    refs[i], refs[j] = refs[j], refs[i]
    return rewired(graph, {node: tuple(refs)})


def split(graph: BlockGraph, rng: random.Random) -> BlockGraph:
    """A node that is read more than once becomes two equal nodes that share its readers."""
    reads = [(n, i, ref) for n, refs in graph.sources.items() for i, ref in enumerate(refs) if ref.node != INPUT]
    count = Counter(ref.node for _, _, ref in reads)
    shared = [read for read in reads if count[read[2].node] > 1]
    if not shared:
        return moved(graph, rng)
    node, position, ref = rng.choice(shared)
    change = {
        "twin": graph.sources[ref.node],
        node: replaced(graph.sources[node], position, Ref("twin", ref.port)),
    }
    return rewired(graph, change, {"twin": graph.ops[ref.node]})


def merged(graph: BlockGraph, rng: random.Random) -> BlockGraph:
    """Two equal nodes with the same inputs become one."""
    twins = [(a, b) for a in graph.ops for b in graph.ops if a < b and graph.ops[a] == graph.ops[b]]
    twins = [(a, b) for a, b in twins if graph.sources[a] == graph.sources[b]]
    if not twins:
        return split(graph, rng)
    kept, gone = rng.choice(twins)
    ops = {node: op for node, op in graph.ops.items() if node != gone}
    refs = {node: graph.sources[node] for node in (*ops, OUTPUT)}
    return BlockGraph.from_sources(
        ops, {node: [Ref(kept, r.port) if r.node == gone else r for r in found] for node, found in refs.items()}
    )


NEAR_MISSES: tuple[Callable[[BlockGraph, random.Random], BlockGraph], ...] = (moved, swapped, split, merged)


def replaced(refs: Sequence[Ref], position: int, ref: Ref) -> tuple[Ref, ...]:
    """`refs` with another one in one place."""
    return (*refs[:position], ref, *refs[position + 1 :])


def rewired(graph: BlockGraph, sources: Sources, ops: dict[str, Op] | None = None) -> BlockGraph:
    """The same graph with other or more nodes and inputs."""
    return BlockGraph.from_sources({**graph.ops, **(ops or {})}, {**graph.sources, **sources})


def pair(rng: random.Random, nodes: int) -> tuple[str, BlockGraph, BlockGraph]:
    """What was done, a graph, and what came out of it."""
    graph = random_graph(rng, rng.randint(1, nodes))
    if rng.random() < 0.5:
        return "disguised", graph, disguised(graph, rng)
    change = rng.choice(NEAR_MISSES)
    return change.__name__, graph, disguised(change(graph, rng), rng)


def isomorphic(a: BlockGraph, b: BlockGraph) -> bool:
    """networkx's answer, with node attributes and the ports of (parallel) edges."""

    def ports(edges: dict) -> list[tuple[int, int]]:
        return sorted((data["out_port"], data["in_port"]) for data in edges.values())

    def alike(one: dict, other: dict) -> bool:
        return ports(one) == ports(other)

    return nx.is_isomorphic(a, b, node_match=dict.__eq__, edge_match=alike)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--nodes", type=int, default=16, help="draws of random_graph, each one to three nodes")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    count: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    ours = theirs = 0.0
    sizes = []
    for _ in range(args.pairs):
        kind, a, b = pair(rng, args.nodes)
        start = time.perf_counter()
        same_key = a.key == b.key
        middle = time.perf_counter()
        same = isomorphic(a, b)
        ours, theirs = ours + middle - start, theirs + time.perf_counter() - middle
        count[kind] += 1
        equal[kind] += same
        wrong[kind] += same != same_key
        sizes += [len(a.ops), len(b.ops)]
    mean = sum(sizes) / len(sizes)
    print(f"{args.pairs} pairs of graphs with {min(sizes)} to {max(sizes)} nodes, {mean:.1f} on average\n")
    print(f"{'pair':<12}{'number':>8}{'isomorphic':>12}{'key disagrees':>15}")
    for kind in sorted(count):
        print(f"{kind:<12}{count[kind]:>8}{equal[kind]:>12}{wrong[kind]:>15}")
    print(f"{'all':<12}{args.pairs:>8}{equal.total():>12}{wrong.total():>15}\n")
    print(f"two keys {1e3 * ours / args.pairs:.2f} ms a pair; is_isomorphic {1e3 * theirs / args.pairs:.2f} ms a pair")
    return 1 if wrong.total() else 0


if __name__ == "__main__":
    raise SystemExit(main())
