"""Moves: always valid, always new, always inside the bounds; and every one of them does what it says."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas
from uninas.errors import GenotypeError, SpaceError
from uninas.genotype import Block, Downsample, Genotype, GraphBuilder, Head, Stage, SubBlock
from uninas.ops import Matmul1, Matmul2
from uninas.search.space.bounds import faults, measure_graph, measure_stage
from uninas.search.space.moves import MOVES

from .small import STARTS, only, small_network, small_space

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import random_walks


@pytest.fixture(scope="module")
def space():
    return small_space()


@pytest.fixture(scope="module")
def coatnet() -> Genotype:
    return small_network("coatnet")


@pytest.mark.parametrize("start", STARTS)
def test_ends_of_random_walks_are_sound(space, start):
    """Files, parameters, MACs, and finite training steps at two sizes; benchmarks/random_walks.py is the full run."""
    rng = random.Random(start)
    for _ in range(10):
        genotype = random_walks.walk(space, small_network(start), rng.randint(1, 60), rng)
        assert random_walks.faults(genotype) == [], genotype.to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_ends_of_a_thousand_random_walks_are_sound(space, start):
    rng = random.Random(f"{start} again")
    for _ in range(250):
        genotype = random_walks.walk(space, small_network(start), rng.randint(1, 60), rng)
        assert random_walks.faults(genotype) == [], genotype.to_dict()


@pytest.mark.parametrize("start", STARTS)
def test_walks_stay_inside_the_space(space, start):
    genotype, rng = small_network(start), random.Random(1)
    allowed = [i for i, stage in enumerate(genotype.stages) if _affinities(stage)] if start == "vit" else []
    attention = space.specification.attention_indices | set(allowed)
    for _ in range(120):
        child = space.mutate(genotype, rng)
        assert child.key != genotype.key
        assert list(faults(space.limits, child, attention)) == []
        genotype = child


def _affinities(stage: Stage) -> int:
    return sum(isinstance(op, Matmul1) for _, _, sub in stage.subblocks for op in sub.graph.ops.values())


def test_attention_is_never_added_outside_its_stages(space):
    genotype, rng = small_network("vit"), random.Random(2)
    for _ in range(200):
        child = space.mutate(genotype, rng)
        for i in (0, 1):
            assert _affinities(child.stages[i]) <= _affinities(genotype.stages[i])
        genotype = child
    everywhere = only("attention", attention_stages=[1, 2, 3, 4])
    genotype = small_network("resnet")
    for _ in range(6):
        genotype = everywhere.mutate(genotype, rng)
    assert any(_affinities(stage) for stage in genotype.stages[:2])


@pytest.mark.parametrize("name", MOVES)
def test_every_move_finds_places(space, name):
    rng = random.Random(3)
    start = uninas.blocks.network("coatnet", widths=(16, 16, 32, 32), depths=(1, 2, 2, 1))
    origin = random_walks.walk(space, start, 10, rng)
    alone = only(name, attempts=3000)
    found = [alone.neighbour(origin, rng) for _ in range(5)]
    assert {child.move for child in found} == {name}
    assert origin.key not in {child.genotype.key for child in found}


@pytest.mark.parametrize("name", MOVES)
def test_every_move_has_a_weight_in_the_shipped_space(space, name):
    assert space.specification.moves[name] > 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), start=st.sampled_from(STARTS), moves=st.integers(1, 25))
def test_same_seed_same_walk_and_files_keep_it(space, start, seed, moves):
    first = random_walks.walk(space, small_network(start), moves, random.Random(seed))
    again = random_walks.walk(space, small_network(start), moves, random.Random(seed))
    assert first.key == again.key
    assert Genotype.from_dict(first.to_dict()).key == first.key


def test_a_move_touches_one_place(space, coatnet):
    """One stage, the stem, or the head; all graphs elsewhere are the same objects."""
    rng = random.Random(4)
    for _ in range(80):
        found = space.neighbour(coatnet, rng)
        child = found.genotype
        changed = [i for i, stage in enumerate(child.stages) if stage is not coatnet.stages[i]]
        assert len(changed) + (child.stem != coatnet.stem) + (child.head != coatnet.head) == 1, found.move


def test_mutating_leaves_the_parent_as_it_was(space, coatnet):
    before = coatnet.to_dict()
    rng = random.Random(5)
    for _ in range(100):
        space.mutate(coatnet, rng)
    assert coatnet.to_dict() == before


def test_every_path_between_the_matmuls_has_a_softmax(space):
    genotype, rng = small_network("vit"), random.Random(6)
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
    genotype = small_network("resnet")
    odd = genotype.with_stage(2, Stage(32, (_linear_attention(), *genotype.stages[2].blocks)))
    rng, grown = random.Random(7), odd
    for _ in range(60):
        grown = space.mutate(grown, rng)
        unsafe = sum(measure_graph(sub.graph, s.width).unsafe for s in grown.stages for _, _, sub in s.subblocks)
        assert unsafe <= 1


def test_never_an_empty_graph(coatnet):
    space = only("remove", "remove_region")
    rng, genotype = random.Random(10), coatnet
    with pytest.raises(SpaceError, match="no neighbour found"):
        for _ in range(500):
            genotype = space.mutate(genotype, rng)
    assert all(1 <= len(sub.graph.ops) <= 4 for _, sub in genotype.subblocks)


def test_heads_follow_the_width():
    space = only("change_width", limits={"min_width": 32, "width_multiple": 32})
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


def test_graphs_that_blocks_share_stay_shared_when_the_width_changes():
    space = only("change_width")
    genotype = uninas.blocks.network("vit", widths=(16, 16, 32, 32), depths=(2, 2, 2, 2))
    child = space.mutate(genotype, random.Random(0))
    for stage in child.stages:
        first, second = stage.blocks
        assert [sub.graph for sub in first.subblocks] == [sub.graph for sub in second.subblocks]


def test_relative_position_bias_fits_the_grid_of_its_stage():
    space = only("attention")
    rng = random.Random(12)
    sizes = set()
    for _ in range(40):
        child = space.mutate(small_network("resnet"), rng)
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
            assert child is None or isinstance(child, Genotype), name


# What surrounds the graphs.


def test_the_stem_takes_widths_of_the_file(coatnet):
    space = only("change_stem", frame={"stem_widths": [48, 96]})
    rng = random.Random(0)
    found = {tuple(conv.width for conv in space.mutate(coatnet, rng).stem.convs) for _ in range(20)}
    assert found == {(24, 48), (48, 96)}  # from (32, 64): what is inside keeps its share


def test_a_stem_that_gives_the_first_stage_its_width_stays():
    convnext = uninas.blocks.network("convnext", widths=(32, 32, 64, 64), depths=(1, 1, 1, 1))
    with pytest.raises(SpaceError, match="no place for the move"):
        only("change_stem", attempts=20).mutate(convnext, random.Random(0))


def test_downsampling_takes_other_kinds_that_halve(coatnet):
    space = only("change_downsample")
    rng = random.Random(0)
    found = [space.mutate(coatnet, rng) for _ in range(40)]
    assert {stage.downsample.kind for child in found for stage in child.stages} == {"pool", "patch", "conv", "basic"}
    assert {child.strides for child in found} == {coatnet.strides}
    kept = coatnet.with_stage(1, replace(coatnet.stages[1], downsample=Downsample("project")))
    assert all(space.mutate(kept, rng).stages[1].downsample.kind == "project" for _ in range(20))


def test_the_head_takes_norms_activations_and_places_of_the_average(coatnet):
    space = only("change_head")
    rng = random.Random(0)
    found = {space.mutate(coatnet, rng).head for _ in range(60)}
    assert found == {Head("batch"), Head("rms"), Head("layer", "gelu"), Head("layer", pool_first=True)}


def test_a_head_with_nothing_before_the_average_has_one_spelling(coatnet):
    bare = Genotype(coatnet.stages, coatnet.stem, Head(None, pool_first=False))
    space = only("change_head", frame={"head": {"pool_first": [True]}}, attempts=20)
    with pytest.raises(SpaceError, match="no place"):
        space.mutate(bare, random.Random(0))


def test_norms_before_graphs_change_and_go_only_where_the_graph_has_one(coatnet):
    space = only("change_norm")
    rng = random.Random(0)
    seen = set()
    for _ in range(200):
        child = space.mutate(coatnet, rng)
        ((place, sub),) = [new for new, old in zip(child.subblocks, coatnet.subblocks) if new[1] is not old[1]]
        seen.add(sub.norm)
        normed = any(op.role == "norm" for op in sub.graph.ops.values())
        assert sub.norm is not None or normed, place
    assert seen == {None, "batch", "rms"}


def test_activations_behind_sub_blocks_come_and_go(coatnet):
    space = only("change_activation", frame={"activations": [None, "relu"]})
    child = space.mutate(coatnet, random.Random(0))
    assert sorted(str(sub.activation) for _, sub in child.subblocks).count("relu") == 1
    for _ in range(30):
        child = space.mutate(child, random.Random(len(str(child.key))))
    assert {sub.activation for _, sub in child.subblocks} <= {None, "relu"}


def test_residuals_go_but_attention_and_every_stage_keep_one():
    space, rng = only("change_residual"), random.Random(0)
    genotype = uninas.blocks.network("coatnet", widths=(16, 16, 32, 32), depths=(2, 2, 2, 2))
    dropped = 0
    for _ in range(60):
        genotype = space.mutate(genotype, rng)
        dropped += sum(not sub.residual for _, sub in genotype.subblocks)
        for stage in genotype.stages:
            subs = [sub for _, _, sub in stage.subblocks]
            assert any(sub.residual for sub in subs)
            assert all(sub.residual for sub in subs if any(isinstance(op, Matmul1) for op in sub.graph.ops.values()))
    assert dropped


def test_no_move_takes_the_last_residual_of_a_stage():
    space, rng = only("remove_block"), random.Random(0)
    genotype = uninas.blocks.network("resnet", widths=(16, 16, 32, 32), depths=(1, 1, 2, 1))
    with_residual, copy = genotype.stages[2].blocks
    plain = Block((replace(copy.subblocks[0], residual=False),))
    genotype = genotype.with_stage(2, replace(genotype.stages[2], blocks=(with_residual, plain)))
    for _ in range(10):  # the only stage of two blocks
        (left,) = space.mutate(genotype, rng).stages[2].blocks
        assert left.subblocks[0].residual
    assert measure_stage(replace(genotype.stages[2], blocks=(plain,)), True)["bare"] == 1
