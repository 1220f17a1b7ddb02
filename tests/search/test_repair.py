"""Networks that break a limit on cost are brought within it."""

from __future__ import annotations

import random

import pytest

import uninas
from uninas.errors import SpaceError
from uninas.search.limits import Limits
from uninas.search.space import Space

from .small import STARTS, only, small_network, small_space


@pytest.fixture(scope="module")
def space():
    return small_space()


@pytest.fixture(scope="module")
def coatnet() -> uninas.Genotype:
    return small_network("coatnet")


def test_a_network_inside_the_limits_is_kept(space, coatnet):
    assert space.repair(coatnet, Limits(max_params=30_000_000), random.Random(0)) is coatnet


@pytest.mark.parametrize("factor", [0.6, 1.5])
@pytest.mark.parametrize("start", [name for name in STARTS if name != "vit"])
def test_a_network_outside_the_limits_is_brought_in(space, start, factor):
    genotype = small_network(start)
    bound = int(uninas.cost(genotype).params * factor)
    limits = Limits(max_params=bound) if factor < 1 else Limits(min_params=bound)
    repaired = space.repair(genotype, limits, random.Random(0))
    assert limits.excess(uninas.cost(repaired)) == {}
    space.check(repaired)


@pytest.mark.parametrize("start", ["resnet", "efficientnet", "coatnet"])
def test_published_networks_are_brought_into_the_size_band(start):
    space = Space.load("uninas")
    limits = Limits(max_params=30_000_000).banded(space.size_band)
    assert limits.min_params == 25_500_000
    repaired = space.repair(space.start(start), limits, random.Random(0))
    assert 25_500_000 <= uninas.cost(repaired).params <= 30_000_000


def test_a_limit_of_the_space_itself_is_met_too(coatnet):
    params = uninas.cost(coatnet).params
    space = small_space(limits={"min_width": 16, "width_multiple": 16, "max_params": params * 3 // 4})
    repaired = space.repair(coatnet, Limits(), random.Random(0))
    assert uninas.cost(repaired).params <= params * 3 // 4


def test_moves_that_the_space_has_not_are_not_used(coatnet):
    space = only("remove_subblock", attempts=20)
    with pytest.raises(SpaceError, match="no network of space 'small' that meets this"):
        space.repair(coatnet, Limits(min_params=uninas.cost(coatnet).params + 1), random.Random(0))


def test_a_limit_that_nothing_meets_is_named(coatnet):
    space = small_space(attempts=60)
    with pytest.raises(SpaceError, match=r"params are above max_params = 2.00K; no network of space 'small'"):
        space.repair(coatnet, Limits(max_params=2000), random.Random(0))
