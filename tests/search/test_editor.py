"""Regions: found exactly, and edits that keep what is around them."""

from __future__ import annotations

import random
from itertools import chain

import networkx as nx
import pytest

from uninas.genotype import INPUT, OUTPUT, BlockGraph, GraphBuilder, Ref
from uninas.search.space.editor import GraphEditor


def random_graph(rng: random.Random, size: int) -> BlockGraph:
    """Additions and activations, wired at random."""
    b = GraphBuilder()
    refs = [b.input]
    for _ in range(size):
        if rng.random() < 0.4 and len(refs) > 1:
            refs.append(b.add("add", *rng.sample(refs, 2)))
        else:
            refs.append(b.add("gelu", rng.choice(refs)))
    return b.build(refs[-1])


def regions_by_definition(graph: BlockGraph, last: str) -> set[tuple[Ref, frozenset[str]]]:
    """(entry, nodes) of all stretches that end at `last`, from their definition."""
    plain = nx.DiGraph(graph.edges())
    behind = nx.ancestors(plain, last) - {INPUT}
    found = set()
    for entry in [INPUT, *behind]:
        nodes = ((nx.descendants(plain, entry) & behind) | {last}) - {INPUT}
        feeds = {ref for node in nodes for ref in graph.sources[node] if ref.node not in nodes}
        leaks = any(
            ref.node in nodes and ref.node != last
            for reader, refs in graph.sources.items()
            if reader not in nodes
            for ref in refs
        )
        if feeds == {Ref(entry)} and not leaks:
            found.add((Ref(entry), frozenset(nodes)))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_regions_are_all_and_only_single_entry_single_exit(seed):
    rng = random.Random(seed)
    graph = random_graph(rng, rng.randint(1, 10))
    editor = GraphEditor(graph, 8)
    plain = nx.DiGraph(graph.edges())
    for node in graph.ops:
        expected = regions_by_definition(graph, node)
        found = editor.regions_ending_at(node)
        assert {region.entry for region in found} == {entry for entry, _ in expected}
        for region in found:
            inside = dict(expected)[region.entry]
            assert {edge[0] for edge in region.inner} <= inside
            assert set(region.outer) == {
                (reader, i) for reader, refs in graph.sources.items() for i, ref in enumerate(refs) if ref == Ref(node)
            }
            assert all(nx.has_path(plain, edge[0], node) for edge in region.inner)


def test_a_chunk_is_entered_by_its_port():
    b = GraphBuilder()
    left, right = b.ports(b.add("chunk", b.input, parts=2))
    graph = b.build(b.add("concat", b.add("gelu", left), right))
    editor = GraphEditor(graph, 8)
    (region,) = editor.regions_ending_at("gelu")
    assert region.entry == Ref("chunk", 0)
    assert [s.entry for s in editor.regions_ending_at("concat")] == [Ref(INPUT)]
    assert editor.regions_ending_at("chunk") == []  # two ports lead out of it


def test_build_drops_dead_nodes_and_orders_the_rest():
    b = GraphBuilder()
    dead = b.add("relu", b.input)
    b.add("silu", dead)
    graph = b.build(b.add("conv", b.add("gelu", b.input)))
    editor = GraphEditor(graph, 8)
    editor.connect([("conv", 0)], editor.add(graph.ops["gelu"], Ref("gelu")))
    built = editor.build()
    assert list(built.ops) == ["gelu", "gelu_2", "conv"]
    assert set(chain(*(built.sources[node] for node in (*built.ops, OUTPUT)))) == {
        Ref(INPUT), Ref("gelu"), Ref("gelu_2"), Ref("conv"),
    }  # fmt: skip
