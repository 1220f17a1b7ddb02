"""Moves: always valid, always new, always inside the limits; and every one of them does what it says."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uninas.search.moves import MOVES

import uninas
from uninas.errors import GenotypeError, SpaceError
from uninas.genotype import Block, GraphBuilder, Stage, SubBlock
from uninas.ops import Matmul1, Matmul2
from uninas.search import Limits, Space
from uninas.search.limits import faults, measure_graph

from .conftest import tiny_network, tiny_space

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import random_walks

STARTS = ("resnet", "efficientnet", "vit", "coatnet")


@pytest.mark.parametrize("start", STARTS)
def test_ends_of_random_walks_are_sound(space, start):
    """Files, parameters, MACs, and finite training steps at two sizes; benchmarks/random_walks.py is the full run."""
    rng = random.Random(start)
    for _ in range(20):
        genotype = random_walks.walk(space, tiny_network(start), rng.randint(1, 60), rng)
        assert random_walks.faults(genotype) == [], genotype.to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_ends_of_a_thousand_random_walks_are_sound(space, start):
    rng = random.Random(f"{start} again")
    for _ in range(250):
        genotype = random_walks.walk(space, tiny_network(start), rng.randint(1, 60), rng)
        assert random_walks.faults(genotype) == [], genotype.to_dict()


@pytest.mark.parametrize("start", STARTS)
def test_walks_stay_inside_the_space(space, start):
    genotype, rng = tiny_network(start), random.Random(1)
    allowed = [i for i, stage in enumerate(genotype.stages) if _affinities(stage)] if start == "vit" else []
    for _ in range(120):
        child = space.mutate(genotype, rng)
        assert child.key != genotype.key
        assert list(faults(space.limits, child, space.attention_indices | set(allowed))) == []
        genotype = child


def _affinities(stage: Stage) -> int:
    return sum(isinstance(op, Matmul1) for _, _, sub in stage.subblocks for op in sub.graph.ops.values())


def test_attention_is_never_added_outside_its_stages(space):
    genotype, rng = tiny_network("vit"), random.Random(2)
    for _ in range(200):
        child = space.mutate(genotype, rng)
        for i in (0, 1):
            assert _affinities(child.stages[i]) <= _affinities(genotype.stages[i])
        genotype = child
    everywhere = Space.from_dict(tiny_space(attention_stages=[1, 2, 3, 4], moves={"attention": 1.0}))
    genotype = tiny_network("resnet")
    for _ in range(6):
        genotype = everywhere.mutate(genotype, rng)
    assert any(_affinities(stage) for stage in genotype.stages[:2])


@pytest.mark.parametrize("name", MOVES)
def test_every_move_finds_places(name):
    space = Space.from_dict(tiny_space(moves={name: 1.0}, attempts=3000))
    rng = random.Random(3)
    origin = random_walks.walk(Space.from_dict(tiny_space()), tiny_network("coatnet"), 10, rng)
    keys = {space.mutate(origin, rng).key for _ in range(5)}
    assert origin.key not in keys


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), start=st.sampled_from(STARTS), moves=st.integers(1, 25))
def test_same_seed_same_walk_and_files_keep_it(space, start, seed, moves):
    first = random_walks.walk(space, tiny_network(start), moves, random.Random(seed))
    again = random_walks.walk(space, tiny_network(start), moves, random.Random(seed))
    assert first.key == again.key
    assert uninas.Genotype.from_dict(first.to_dict()).key == first.key


def test_untouched_graphs_are_shared(space, coatnet):
    rng = random.Random(4)
    for _ in range(50):
        child, move = (found := space.propose(coatnet, rng)).genotype, found.move
        changed = [i for i, stage in enumerate(child.stages) if stage is not coatnet.stages[i]]
        assert len(changed) == 1, move


def test_mutating_leaves_the_parent_as_it_was(space, coatnet):
    before = coatnet.to_dict()
    rng = random.Random(5)
    for _ in range(100):
        space.mutate(coatnet, rng)
    assert coatnet.to_dict() == before


def test_every_path_between_the_matmuls_has_a_softmax(space):
    genotype, rng = tiny_network("vit"), random.Random(6)
    for _ in range(150):
        genotype = space.mutate(genotype, rng)
        for _, sub in genotype.subblocks:
            graph = sub.graph
            for node, op in graph.ops.items():
                if isinstance(op, Matmul2):
                    assert not _reaches_affinity_without_softmax(graph, graph.sources[node][0].node)
                if op.name == "multiply":
                    assert op.attributes()["gate"] == "sigmoid"


def _reaches_affinity_without_softmax(graph, node: str) -> bool:
    op = graph.ops[node]
    if isinstance(op, Matmul1):
        return True
    return op.name != "softmax" and any(
        _reaches_affinity_without_softmax(graph, ref.node) for ref in graph.sources[node]
    )


def _linear_attention() -> Block:
    b = GraphBuilder()
    affinity = b.add("matmul1", b.input, b.input)
    return Block((SubBlock(b.build(b.add("matmul2", affinity, b.input))),))


def test_what_a_genotype_breaks_already_it_may_keep(space):
    genotype = tiny_network("resnet")
    odd = genotype.with_stage(2, Stage(32, (_linear_attention(), *genotype.stages[2].blocks)))
    rng, grown = random.Random(7), odd
    for _ in range(60):
        grown = space.mutate(grown, rng)
        unsafe = sum(measure_graph(sub.graph, s.width).unsafe for s in grown.stages for _, _, sub in s.subblocks)
        assert unsafe <= 1


def test_limits_on_cost_hold_along_a_walk(space, coatnet):
    params, macs = uninas.cost(coatnet).params, uninas.cost(coatnet).macs
    limits = Limits(max_params=params * 6 // 5, min_params=params * 4 // 5, max_macs=macs * 11 // 10)
    rng, genotype = random.Random(8), coatnet
    for _ in range(60):
        found = space.propose(genotype, rng, limits)
        genotype = found.genotype
        assert found.cost == uninas.cost(genotype)
        assert limits.excess(uninas.cost(genotype)) == {}


def test_a_child_of_a_network_over_the_limit_is_nearer_to_it(space, coatnet):
    limits = Limits(max_params=10_000)
    rng, genotype = random.Random(9), coatnet
    for _ in range(5):
        child = space.mutate(genotype, rng, limits)
        assert uninas.cost(child).params < uninas.cost(genotype).params
        genotype = child


def test_what_stands_in_the_way_is_named(coatnet):
    space = Space.from_dict(tiny_space(moves={"copy_block": 1.0}, attempts=20))
    tight = Limits(max_params=uninas.cost(coatnet).params)
    with pytest.raises(SpaceError, match=r"no neighbour found in 20 edits .*under max_params = .*max_params \(20"):
        space.mutate(coatnet, random.Random(0), tight)
    alone = Space.from_dict(tiny_space(moves={"remove_block": 1.0}, attempts=20))
    with pytest.raises(SpaceError, match=r"no place for the move \(20 times\)"):
        alone.mutate(coatnet, random.Random(0))


def test_never_an_empty_graph(coatnet):
    space = Space.from_dict(tiny_space(moves={"remove": 1.0, "remove_region": 1.0}))
    rng, genotype = random.Random(10), coatnet
    with pytest.raises(SpaceError, match="no neighbour found"):
        for _ in range(500):
            genotype = space.mutate(genotype, rng)
    assert all(1 <= len(sub.graph.ops) <= 4 for _, sub in genotype.subblocks)


def test_heads_follow_the_width():
    space = Space.from_dict(tiny_space(moves={"change_width": 1.0}, limits={"min_width": 32, "width_multiple": 32}))
    genotype = uninas.blocks.network("coatnet", widths=(32, 32, 64, 128), depths=(1, 1, 1, 1))
    rng = random.Random(11)
    for _ in range(20):
        genotype = space.mutate(genotype, rng)
        for stage in genotype.stages:
            for _, _, sub in stage.subblocks:
                for node, op in sub.graph.ops.items():
                    if isinstance(op, Matmul1):
                        channels = sub.graph.inputs_of(node, stage.width)[0].channels
                        assert channels % op.heads == 0 and 16 <= channels / op.heads <= 64


def test_relative_position_bias_fits_the_grid_of_its_stage():
    space = Space.from_dict(tiny_space(moves={"attention": 1.0}))
    rng = random.Random(12)
    sizes = set()
    for _ in range(40):
        child = space.mutate(tiny_network("resnet"), rng)
        for (i, _, _), sub in child.subblocks:
            sizes |= {(i, op.attributes()["size"]) for op in sub.graph.ops.values() if op.name == "rel_pos_bias"}
    assert sizes == {(2, 14), (3, 7)}


def test_a_move_that_does_not_fit_is_an_error_or_nothing(space, coatnet):
    rng = random.Random(13)
    for name, move in MOVES.items():
        for _ in range(40):
            try:
                child = move(coatnet, space, rng)
            except GenotypeError:
                continue
            assert child is None or isinstance(child, uninas.Genotype), name
