"""All passes on random graphs, in any order, and again: the same numbers, gradients and parameters."""

from __future__ import annotations

import random

import pytest
from graphs import WIDTH, branching_graph, random_graph

from uninas.compiler import PASSES, lower
from uninas.genotype import GraphBuilder

from .rewriting import CHANNELS, CONV3, assert_same, written


@pytest.mark.parametrize("seeds", range(4))
def test_random_graphs(seeds):
    for seed in range(30 * seeds, 30 * seeds + 30):
        assert_same(random_graph(random.Random(seed), 25), WIDTH)


@pytest.mark.parametrize("seeds", range(5))
def test_random_branches(seeds):
    for seed in range(30 * seeds, 30 * seeds + 30):
        assert_same(branching_graph(random.Random(seed)), 3 * WIDTH)


def test_random_branches_meet_every_rule():
    found: set[str] = set()
    for seed in range(150):
        found |= set(written(lower(branching_graph(random.Random(seed)), 3 * WIDTH)))
    assert {"FusedAttention", "ParallelConv", "SharedInputConv"} <= found


@pytest.mark.parametrize("seed", range(10))
def test_one_pass_after_the_other_in_any_order(seed):
    passes = list(PASSES) * 2
    random.Random(seed).shuffle(passes)
    assert_same(branching_graph(random.Random(seed + 1000)), 3 * WIDTH, passes=passes)


def test_passes_can_be_repeated():
    for seed in range(20):
        graph = branching_graph(random.Random(seed))
        assert written(lower(graph, 3 * WIDTH, PASSES * 2)) == written(lower(graph, 3 * WIDTH, PASSES))


def test_dead_nodes_are_left_out():
    b = GraphBuilder()
    x = b.add("gelu", b.input)
    b.chain(b.input, CONV3, "batch_norm")
    module = lower(b.build(x), CHANNELS)
    assert written(module) == ["GELU"]
    assert list(module.parameters()) == []
