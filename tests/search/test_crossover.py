"""Children of two networks."""

from __future__ import annotations

from random import Random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas
from uninas import resources
from uninas.errors import SpaceError
from uninas.genotype import Downsample, Genotype, Stage
from uninas.search.limits import Limits
from uninas.search.space.base import Space

from .test_sample import SMALL, faults, small_space

seeds = st.integers(0, 2**32)
BAND = Limits(min_params="600K", max_params="1M", input_size=64)


def network(name: str, widths=(32, 32, 64, 64), depths=(1, 2, 3, 1)) -> Genotype:
    return uninas.blocks.network(name, widths=widths, depths=depths)


def graphs(genotype: Genotype) -> set[str]:
    return {sub.graph.key for _, sub in genotype.subblocks}


@settings(max_examples=30, deadline=None)
@given(seed=seeds, limited=st.booleans())
def test_children_are_new_and_inside(seed, limited):
    rng, limits = Random(seed), BAND if limited else None
    mother, father = (SMALL.sample(rng, limits) for _ in range(2))
    state = rng.getstate()
    proposal = SMALL.cross(mother, father, rng, limits)
    child = proposal.genotype
    assert proposal.move == "cross"
    assert child.key not in (mother.key, father.key)
    SMALL.check(child)
    if limits:
        limits.check(child)
    rng.setstate(state)
    assert SMALL.cross(mother, father, rng, limits).genotype.key == child.key


def test_parts_of_both():
    """Blocks of one kind and of another; nothing that neither parent has."""
    mother, father = network("resnet"), network("efficientnet")
    mixed = 0
    for seed in range(40):
        child = SMALL.cross(mother, father, Random(seed)).genotype
        assert graphs(child) <= graphs(mother) | graphs(father)
        mixed += bool(graphs(child) & graphs(mother)) and bool(graphs(child) & graphs(father))
    assert mixed > 35


def test_widths_and_depths_are_the_parents():
    mother = network("resnet")
    father = network("efficientnet", widths=(48, 64, 96, 128), depths=(3, 1, 1, 2))
    for seed in range(40):
        for own, hers, his in zip(
            SMALL.cross(mother, father, Random(seed)).genotype.stages, mother.stages, father.stages
        ):
            assert own.width in (hers.width, his.width)
            assert len(own.blocks) in (len(hers.blocks), len(his.blocks))


def test_blocks_keep_their_relative_position():
    """In a stage of two kinds in a row, no block of the first stands behind one of the second in the other parent."""
    space = small_space(blocks=["R", "E"])
    first, second = (network(name).stages[2].blocks[0] for name in ("resnet", "efficientnet"))
    base = network("resnet")

    def ordered(depth: int, other: Genotype) -> Genotype:
        blocks = tuple(first if j < depth // 2 else second for j in range(depth))
        return other.with_stage(2, Stage(64, blocks, Downsample()))

    mother, father = ordered(2, base), ordered(6, network("efficientnet"))
    for seed in range(30):
        stage = space.cross(mother, father, Random(seed)).genotype.stages[2]
        kinds = [block.subblocks[0].graph.key for block in stage.blocks]
        half = len(kinds) // 2
        assert kinds == [first.subblocks[0].graph.key] * half + [second.subblocks[0].graph.key] * (len(kinds) - half)


def test_attention_is_refitted_to_another_width():
    mother = network("coatnet", widths=(32, 32, 64, 64))
    father = network("coatnet", widths=(32, 64, 96, 128), depths=(1, 1, 2, 2))
    for seed in range(10):
        child = SMALL.cross(mother, father, Random(seed)).genotype
        assert faults(child, 64) == []


def test_networks_with_unequal_numbers_of_stages():
    mother = network("efficientnet")
    whole = network("resnet")
    father = Genotype(whole.stages[:3], whole.stem, whole.head)
    found = set()
    for seed in range(20):
        child = SMALL.cross(mother, father, Random(seed)).genotype
        SMALL.check(child)
        found.add(child.strides)
        assert graphs(child) <= graphs(mother) | graphs(father)
    assert found == {mother.strides, father.strides}


def test_networks_without_a_common_stride():
    mother = network("resnet")
    flat = [Stage(32, mother.stages[0].blocks, Downsample("project"))] * 2
    father = Genotype(tuple(flat), mother.stem, mother.head)
    with pytest.raises(SpaceError, match="no two stages of the parents have one stride"):
        SMALL.cross(mother, father, Random(0))


def test_one_network_cannot_be_crossed_with_itself():
    with pytest.raises(SpaceError, match="both parents are one network"):
        SMALL.cross(network("resnet"), network("resnet"), Random(0))


def test_limits_that_no_child_meets():
    with pytest.raises(SpaceError, match=r"no child of .*under max_params = 1.00K.*in the way: max_params"):
        SMALL.cross(network("resnet"), network("efficientnet"), Random(0), Limits(max_params=1000))


def test_children_stay_inside_a_narrower_space():
    """A parent that attends early has no child in the space that does."""
    data = yaml.safe_load(resources.find("spaces", "uninas").read_text())
    space = Space.from_dict({**data, "limits": {**data["limits"], "min_width": 16, "width_multiple": 16}})
    for seed in range(10):
        child = space.cross(network("vit"), network("efficientnet"), Random(seed)).genotype
        space.check(child)
