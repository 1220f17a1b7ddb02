"""Networks drawn from scratch: inside the space, within the limits, unlike each other."""

from __future__ import annotations

from random import Random

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import uninas
from uninas import resources
from uninas.errors import SpaceError
from uninas.ops import Matmul1
from uninas.search.limits import Limits
from uninas.search.space.base import Space

seeds = st.integers(0, 2**32)


def small_space(**changes) -> Space:
    """The space `uninas` with narrow starts and narrow networks."""
    data = yaml.safe_load(resources.find("spaces", "uninas").read_text())
    shape = {"widths": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}
    limits = {**data["limits"], "min_width": 16, "width_multiple": 16, "max_width": 128, "depth": 12}
    starts = {name: {"network": name, **shape} for name in ("resnet", "efficientnet", "coatnet")}
    return Space.from_dict({**data, "name": "small", "starts": starts, "limits": limits, **changes})


SMALL = small_space()
FULL = Space.load("uninas")
SIZES = {
    "any": None,
    "most": Limits(max_params="1M", input_size=64),
    "band": Limits(min_params="850K", max_params="1M", input_size=64),
    "MACs": Limits(min_macs="30M", max_macs="40M", input_size=64),
    "both": Limits(min_params="600K", max_params="1M", max_macs="60M", input_size=64),
}


def faults(genotype: uninas.Genotype, size: int) -> list[str]:
    """What is wrong with a training step of the built network; nothing, if all is well."""
    network = uninas.build(genotype, 5, seed=0)
    logits = network(torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)))
    F.cross_entropy(logits, torch.tensor([0, 1])).backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    found = [] if logits.isfinite().all() else ["logits"]
    found += [] if all(gradient.isfinite().all() for gradient in gradients) else ["gradients"]
    exact = sum(p.numel() for p in network.parameters()) == uninas.cost(genotype, size, 5).params
    return found if exact else [*found, "parameters"]


@settings(max_examples=40, deadline=None)
@given(seed=seeds, size=st.sampled_from(list(SIZES)))
def test_inside_the_space_and_the_limits(seed, size):
    genotype = SMALL.sample(Random(seed), SIZES[size])
    SMALL.check(genotype)
    if SIZES[size] is not None:
        SIZES[size].check(genotype)
    assert SMALL.sample(Random(seed), SIZES[size]).key == genotype.key


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_full_size(seed):
    limits = Limits(min_params="25.5M", max_params="30M")
    genotype = FULL.sample(Random(seed), limits)
    FULL.check(genotype)
    limits.check(genotype)
    assert genotype.strides == (4, 8, 16, 32)
    for (i, _, _), sub in genotype.subblocks:
        assert i in (2, 3) or not any(isinstance(op, Matmul1) for op in sub.graph.ops.values())


def test_what_is_drawn_can_be_trained():
    limits = Limits(max_params="300K", input_size=64)
    for seed in range(8):
        assert faults(SMALL.sample(Random(seed), limits), 64) == []


def test_a_very_narrow_band():
    limits = Limits(min_params="29.7M", max_params="30M")
    for seed in range(4):
        limits.check(FULL.sample(Random(seed), limits))


def test_samples_spread():
    """Kinds of blocks, depths and costs, over 60 networks."""
    limits = Limits(min_params="25.5M", max_params="30M")
    drawn = [FULL.sample(Random(seed), limits) for seed in range(60)]
    assert len({genotype.key for genotype in drawn}) == 60
    assert len({sub.graph.key for genotype in drawn for _, sub in genotype.subblocks}) > 60
    depths = sorted(sum(len(stage.blocks) for stage in genotype.stages) for genotype in drawn)
    assert depths[6] <= 8 and depths[-6] >= 16
    params = sorted(limits.cost(genotype).params for genotype in drawn)
    assert params[6] < 26.4e6 and params[-6] > 28.8e6
    below = Limits(max_params="30M")
    params = sorted(below.cost(FULL.sample(Random(seed), below)).params for seed in range(60))
    assert params[6] < 7e6 and params[-6] > 20e6


def test_widths_grow():
    for seed in range(20):
        widths = [stage.width for stage in SMALL.sample(Random(seed)).stages]
        assert widths == sorted(widths)


def test_frames_come_from_the_choices():
    frame = {"stem_widths": [24, 40], "downsample": ["patch", "conv"], "head": {"norms": ["rms"]}}
    space = small_space(frame=frame)
    drawn = [space.sample(Random(seed)) for seed in range(20)]
    assert {genotype.stem.width for genotype in drawn} == {24, 40}
    assert {stage.downsample.kind for genotype in drawn for stage in genotype.stages} == {"patch", "conv"}
    assert {genotype.head.norm for genotype in drawn} == {"rms"}


def test_without_known_blocks_the_starts_give_theirs():
    space = small_space(blocks=[])
    for seed in range(5):
        space.check(space.sample(Random(seed)))


def test_limits_of_the_space_hold_too():
    space = small_space(limits={"max_params": 100_000, "min_width": 16, "width_multiple": 16, "max_width": 128})
    for seed in range(5):
        assert uninas.cost(space.sample(Random(seed)), 64).params <= 100_000


def test_limits_that_nothing_meets_end_in_an_error():
    with pytest.raises(SpaceError, match=r"no network of space 'small' .*max_params = 2.00K.*in the way: max_params"):
        SMALL.sample(Random(0), Limits(max_params=2000))
    with pytest.raises(SpaceError, match=r"in the way: min_params"):
        SMALL.sample(Random(0), Limits(min_params="1G"))


def test_nothing_global_is_read():
    import random

    random.seed(0)
    before = random.getstate()
    first = SMALL.sample(Random(7)).key
    assert random.getstate() == before
    random.seed(99)
    assert SMALL.sample(Random(7)).key == first
