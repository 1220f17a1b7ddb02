"""Limits on cost: how they are written, and what breaks them."""

from __future__ import annotations

import random

import pytest

import uninas
from uninas.errors import SpaceError
from uninas.resources import parse
from uninas.search.limits import Limits

from .small import small_network, small_space


@pytest.fixture(scope="module")
def coatnet() -> uninas.Genotype:
    return small_network("coatnet")


def test_sizes_as_people_write_them():
    limits = Limits.model_validate({"max_params": "30M", "max_macs": "4.5G", "input_size": "800x1280"})
    assert limits.given == {"max_params": 30_000_000, "max_macs": 4_500_000_000}
    assert limits.input_size == (800, 1280)


def test_excess_names_every_broken_bound(coatnet):
    cost = uninas.cost(coatnet)
    limits = Limits(max_params=cost.params // 2, min_macs=cost.macs * 2)
    assert limits.excess(cost) == {"max_params": pytest.approx(1, abs=1e-3), "min_macs": 0.5}
    assert Limits(max_params=cost.params, min_macs=cost.macs).excess(cost) == {}
    with pytest.raises(SpaceError, match=r"params are above max_params"):
        limits.check(coatnet)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_params": "2M", "max_params": "1M"}, r"min_params \(2.00M\) is above max_params \(1.00M\)"),
        ({"max_params": "lots"}, "max_params: 'lots' is not a count"),
        ({"max_params": -5}, "max_params: '-5' is not a count"),
        ({"max_parms": 5}, "max_parms: unknown key; did you mean 'max_params'"),
        ({"max_macs": 0}, "max_macs: no network has 0 macs"),
    ],
)
def test_limits_that_cannot_be(settings, message):
    with pytest.raises(SpaceError, match=message):
        parse(settings, Limits, SpaceError)


def test_limits_of_the_space_hold_too(coatnet):
    space = small_space(limits={"min_width": 16, "width_multiple": 16, "max_params": "120k"})
    rng, genotype = random.Random(0), coatnet
    for _ in range(40):
        genotype = space.mutate(genotype, rng)
        assert uninas.cost(genotype).params <= 120_000
