"""What all spaces of choices promise, asked of each shipped one."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas
from uninas.errors import SpaceError
from uninas.search.limits import Limits
from uninas.search.space.base import Space
from uninas.search.space.budget import Budget, nearer
from uninas.search.space.choices import Choice, ChoiceSpace

NAMES = ("nasbench201", "mobilenet_v2")
BANDS = {
    "nasbench201": Limits(min_params="750K", max_params="890K", input_size=32, num_classes=10),
    "mobilenet_v2": Limits(min_macs="445M", max_macs="450M"),
}
"""Limits that few networks meet: 6 % of the cells, 3 % of the layers."""

SPACES: dict[str, ChoiceSpace] = {name: Space.load(name) for name in NAMES}  # type: ignore[misc]
seeds = st.integers(0, 2**32)


@pytest.fixture(params=NAMES)
def space(request) -> ChoiceSpace:
    return SPACES[request.param]


def assert_inside(space: Space, genotype: uninas.Genotype, limits: Limits | None = None) -> None:
    space.check(genotype)
    for bounds in (limits, space.limits):
        if bounds is not None:
            bounds.check(genotype)


def differing(space: ChoiceSpace, one: uninas.Genotype, other: uninas.Genotype) -> int:
    return sum(a != b for a, b in zip(space.encode(one), space.encode(other)))


def cheapest(space: ChoiceSpace) -> uninas.Genotype:
    """The one network of the fewest parameters: none is nearer to a limit below it."""
    names = {
        "nasbench201": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "mobilenet_v2": "16: e1k3 | 24: e1k3 | 32: e1k3 | 64: e1k3 | 96: e1k3 | 160: e1k3 | 320: e1k3",
    }
    return space.decode(space.parse(names[space.name]))


def test_starts_are_of_the_space_and_read_back_from_a_file(space, tmp_path):
    assert space.starts
    for name in space.starts:
        genotype = space.start(name)
        space.check(genotype, name)
        genotype.save(tmp_path / "g.yaml")
        assert space.encode(uninas.Genotype.load(tmp_path / "g.yaml")) == space.encode(genotype)
    with pytest.raises(SpaceError, match=r"has no start 'resnext'.*choose from"):
        space.start("resnext")


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(NAMES), seed=seeds, narrow=st.booleans())
def test_samples_are_inside_and_round_trip(name, seed, narrow):
    space, limits = SPACES[name], BANDS[name] if narrow else None
    genotype = space.sample(Random(seed), limits)
    assert_inside(space, genotype, limits)
    assert space.decode(space.encode(genotype)) == genotype
    assert space.encode(space.decode(space.encode(genotype))) == space.encode(genotype)
    assert space.sample(Random(seed), limits).name == genotype.name


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(NAMES), seed=seeds, narrow=st.booleans())
def test_neighbours_are_new_near_and_inside(name, seed, narrow):
    space, limits, rng = SPACES[name], BANDS[name] if narrow else None, Random(seed)
    genotype = space.sample(rng, limits)
    for _ in range(5):
        proposal = space.neighbour(genotype, rng, limits)
        assert proposal.genotype.key != genotype.key
        assert set(proposal.move.split(" + ")) <= {choice.move for choice in space.choices}
        assert_inside(space, proposal.genotype, limits)
        if name == "nasbench201":  # a layer that goes from the middle moves those behind it
            assert 1 <= differing(space, genotype, proposal.genotype) <= 2
        genotype = proposal.genotype
    again = Random(seed)
    assert space.neighbour(space.sample(again, limits), again, limits).genotype.name


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(NAMES), seed=seeds, narrow=st.booleans())
def test_children_have_choices_of_both(name, seed, narrow):
    space, limits, rng = SPACES[name], BANDS[name] if narrow else None, Random(seed)
    mother, father = (space.sample(rng, limits) for _ in range(2))
    if differing(space, mother, father) < 4:
        return
    try:
        proposal = space.cross(mother, father, rng, limits)
    except SpaceError as error:  # few mixtures of two cells are in a narrow band
        assert narrow and "in the way" in str(error)
        return
    child = proposal.genotype
    assert proposal.move == "cross"
    assert child.key not in (mother.key, father.key)
    assert_inside(space, child, limits)
    if name == "nasbench201":
        choices = zip(space.encode(child), space.encode(mother), space.encode(father))
        assert all(own in (hers, his) for own, hers, his in choices)


def test_the_same_generator_gives_the_same_networks(space):
    def play(seed: int) -> list[str | None]:
        rng = Random(seed)
        a, b = space.sample(rng), space.sample(rng)
        return [a.name, space.neighbour(a, rng).genotype.name, space.cross(a, b, rng).genotype.name]

    assert play(3) == play(3) != play(4)


def test_samples_differ(space):
    drawn = [space.sample(Random(seed)) for seed in range(60)]
    assert len({genotype.key for genotype in drawn}) > 50
    for i, choice in enumerate(space.choices):
        assert len({space.encode(genotype)[i] for genotype in drawn}) > 1 or len(choice.options) == 1


def test_repair_leaves_what_fits_and_brings_the_rest_in(space):
    limits = BANDS[space.name]
    inside = space.sample(Random(0), limits)
    assert space.repair(inside, limits, Random(0)) is inside
    cheap = min((space.sample(Random(seed)) for seed in range(20)), key=lambda g: limits.cost(g).macs)
    assert limits.excess(limits.cost(cheap))
    assert_inside(space, space.repair(cheap, limits, Random(0)), limits)


def test_a_parent_beyond_the_limits_has_children_that_are_nearer(space):
    tight = Limits(max_params="200K", input_size=32, num_classes=10)
    parent = space.start(space.starts[-1])
    before = tight.excess(tight.cost(parent))["max_params"]
    for seed in range(5):
        child = space.neighbour(parent, Random(seed), tight).genotype
        assert tight.excess(tight.cost(child)).get("max_params", 0) < before


def test_limits_that_nothing_meets_end_in_an_error(space):
    nothing = Limits(max_params=1000)
    with pytest.raises(SpaceError, match=r"no network of space .* under max_params = 1.00K.*change the limits"):
        space.sample(Random(0), nothing)
    with pytest.raises(SpaceError, match="in the way: max_params"):
        space.repair(space.start(space.starts[0]), nothing, Random(0))
    with pytest.raises(SpaceError, match=r"nothing found in 500 attempts .*in the way: .*max_params"):
        space.neighbour(cheapest(space), Random(0), nothing)


def test_no_networks_between_two_sizes_is_an_error():
    """Cells have 883 K parameters or 1,045 K, and nothing between."""
    with pytest.raises(SpaceError, match="no network of space 'nasbench201'"):
        SPACES["nasbench201"].sample(Random(0), Limits(min_params="900K", max_params="1M", num_classes=10))


def test_parents_that_differ_in_one_choice_cannot_be_crossed(space):
    start = space.start(space.starts[0])
    with pytest.raises(SpaceError, match="differ in 0 choices"):
        space.cross(start, start, Random(0))


def test_genotypes_without_a_fitting_name_are_refused(space):
    start, other = space.start(space.starts[0]), space.start(space.starts[1])
    nameless = uninas.Genotype(start.stages, start.stem, start.head)
    wrong = uninas.Genotype(start.stages, start.stem, start.head, name=other.name)
    foreign = uninas.blocks.network("resnet")
    for genotype, message in ((nameless, "has none"), (wrong, "not the one"), (foreign, "'resnet'")):
        with pytest.raises(SpaceError, match=f"^the genotype is outside of space '{space.name}'.*{message}"):
            space.check(genotype)
        with pytest.raises(SpaceError, match=message):
            space.neighbour(genotype, Random(0))


def test_limits_of_the_file_hold_too():
    data = {
        **SPACES["nasbench201"].fingerprint(),
        "limits": {"max_params": 200_000, "input_size": 32, "num_classes": 10},
    }
    space = Space.from_dict(data)
    assert isinstance(space, ChoiceSpace)
    for seed in range(20):
        assert uninas.cost(space.sample(Random(seed)), 32, 10).params <= 200_000


def test_samples_spread_over_the_band():
    space, limits = SPACES["mobilenet_v2"], Limits(max_macs="450M", min_macs="382M")
    found = sorted(limits.cost(space.sample(Random(seed), limits)).macs / 1e6 for seed in range(60))
    assert found[5] < 395 and found[-6] > 437


def test_fingerprints_are_the_data_of_the_file(space):
    data = space.fingerprint()
    again = Space.from_dict(data)
    assert again.fingerprint() == data
    assert again.start(space.starts[0]) == space.start(space.starts[0])


def test_samples_are_networks(space):
    genotype = space.sample(Random(5))
    network = uninas.build(genotype, 10)
    assert sum(p.numel() for p in network.parameters()) == uninas.cost(genotype, 64, 10).params
    logits = network(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    logits.square().sum().backward()
    assert logits.shape == (2, 10)
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_weights_of_options():
    choice = Choice("a", ("x", "y"), "change", (1.0, 9.0))
    rng = Random(0)
    assert 850 < sum(choice.draw(rng) == "y" for _ in range(1000)) < 950
    assert choice.draw(rng, but="y") == "x"
    assert Choice("a", ("x",), "change").draw(rng, but="x") == "x"


def test_aims_are_inside_the_budget():
    limits = Limits(min_params=100_000, max_params=200_000, max_macs="1G")
    aims = [Budget(limits, None).aim(Random(seed)).limits[0] for seed in range(200)]
    assert all(100_000 <= aim.min_params <= aim.max_params <= 200_000 and aim.max_macs == 10**9 for aim in aims)
    assert min(aim.max_params for aim in aims) < 115_000 and max(aim.min_params for aim in aims) > 185_000
    below = [Budget(Limits(max_macs="8G")).aim(Random(seed)).limits[0] for seed in range(200)]
    assert min(aim.min_macs for aim in below) < 1.2e9 and max(aim.max_macs for aim in below) > 7.6e9
    assert Budget(None, Limits()).aim(Random(0)).limits == []


def test_nearer():
    assert nearer({}, {})
    assert nearer({"max_params": 0.1}, {"max_params": 0.2})
    assert not nearer({"max_params": 0.2}, {"max_params": 0.2})
    assert not nearer({"max_macs": 0.1}, {"max_params": 0.2})
