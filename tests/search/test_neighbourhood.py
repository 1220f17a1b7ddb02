"""One step: new, affordable, and with nothing in it that adds nothing; or a reason why there is none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas
from uninas.errors import SpaceError
from uninas.genotype import Block, Genotype, GraphBuilder, Stage, SubBlock
from uninas.search.limits import Limits
from uninas.search.space import Space
from uninas.search.space.bounds import measure_stage
from uninas.search.space.redundancy import subblock_redundancies

from .small import STARTS, only, small_network, small_space


@pytest.fixture(scope="module")
def space():
    return small_space()


@pytest.fixture(scope="module")
def coatnet() -> Genotype:
    return small_network("coatnet")


def test_limits_on_cost_hold_along_a_walk(space, coatnet):
    params, macs = uninas.cost(coatnet).params, uninas.cost(coatnet).macs
    limits = Limits(max_params=params * 6 // 5, min_params=params * 4 // 5, max_macs=macs * 11 // 10)
    rng, genotype = random.Random(8), coatnet
    for _ in range(60):
        genotype = space.neighbour(genotype, rng, limits).genotype
        assert limits.excess(uninas.cost(genotype)) == {}


def test_a_child_of_a_network_over_the_limit_is_nearer_to_it(space, coatnet):
    limits = Limits(max_params=10_000)
    rng, genotype = random.Random(9), coatnet
    for _ in range(5):
        child = space.mutate(genotype, rng, limits)
        assert uninas.cost(child).params < uninas.cost(genotype).params
        genotype = child


def test_networks_over_a_limit_are_counted(coatnet):
    space = only("copy_block", "change_head")
    tight = Limits(max_params=uninas.cost(coatnet).params)
    found = [space.neighbour(coatnet, random.Random(seed), tight) for seed in range(10)]
    assert {proposal.move for proposal in found} == {"change_head"}
    assert sum(proposal.refused for proposal in found) > 0


def test_what_stands_in_the_way_is_named(coatnet):
    tight = Limits(max_params=uninas.cost(coatnet).params)
    with pytest.raises(SpaceError, match=r"no neighbour found in 20 edits .*under max_params = .*max_params \(20"):
        only("copy_block", attempts=20).mutate(coatnet, random.Random(0), tight)
    with pytest.raises(SpaceError, match=r"no place for the move \(20 times\)"):
        only("remove_block", attempts=20).mutate(coatnet, random.Random(0))
    small = {"blocks": 1, "min_width": 16}
    with pytest.raises(SpaceError, match=r"limits.blocks \(20 times\)"):
        only("copy_block", attempts=20, limits=small).mutate(coatnet, random.Random(0))


def test_the_order_of_a_file_changes_no_step(space, coatnet):
    specification = space.fingerprint()
    backwards = {
        **specification,
        "moves": dict(reversed(specification["moves"].items())),
        "alphabet": dict(reversed(specification["alphabet"].items())),
    }
    other = Space.from_dict(backwards)
    assert other.fingerprint() == specification
    for seed in range(20):
        child, again = (found.mutate(coatnet, random.Random(seed)) for found in (space, other))
        assert child.key == again.key


def idle(genotype: Genotype) -> int:
    """Operations that add nothing to what feeds them."""
    return sum(
        len(subblock_redundancies(sub, j == k == 0 and genotype.stages[i].downsample.kind == "pool"))
        for (i, j, k), sub in genotype.subblocks
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), start=st.sampled_from(STARTS))
def test_nothing_that_adds_nothing_is_ever_added(space, start, seed):
    genotype, rng = small_network(start), random.Random(seed)
    assert idle(genotype) == 0
    for _ in range(40):
        genotype = space.mutate(genotype, rng)
        assert idle(genotype) == 0


def test_what_adds_nothing_in_the_parent_may_stay_but_not_grow(space):
    b = GraphBuilder()
    twice = b.build(b.chain(b.input, "conv", "relu", "relu", "batch_norm", "layer_norm"))
    stage = Stage(16, (Block((SubBlock(twice),)),))
    genotype, rng = Genotype((stage, stage)), random.Random(0)
    assert measure_stage(stage, True)["redundant"] == 2
    counts = set()
    for _ in range(60):
        child = space.mutate(genotype, rng)
        assert all(measure_stage(stage, True)["redundant"] <= 2 for stage in child.stages)
        counts.add(idle(child))
    assert min(counts) < 4 == max(counts)


@pytest.mark.parametrize("start", STARTS)
def test_moves_write_no_dropout_but_networks_may_have_it(space, start):
    assert "dropout" not in space.specification.alphabet
    b = GraphBuilder()
    dropping = SubBlock(b.build(b.chain(b.input, "conv", "dropout", "gelu")))
    genotype = small_network(start)
    genotype = genotype.with_stage(3, Stage(32, (Block((dropping,)),)))
    if start != "vit":
        space.check(genotype)
    rng = random.Random(0)

    def dropouts(genotype: Genotype) -> int:
        return sum(op.name == "dropout" for _, sub in genotype.subblocks for op in sub.graph.ops.values())

    quiet = small_network(start)
    for _ in range(60):
        quiet = space.mutate(quiet, rng)
        assert dropouts(quiet) == 0
    assert dropouts(space.mutate(genotype, rng)) <= 1
