"""Limits on cost, and starts that break them."""

from __future__ import annotations

import random

import pytest
from uninas.search.fit import fit

import uninas
from uninas.errors import SpaceError, StudyError
from uninas.search import Limits, SearchConfig, Space

from .conftest import tiny_space


def test_sizes_as_people_write_them(tmp_path):
    config = SearchConfig.parse({"out": tmp_path, "max_params": "30M", "max_macs": "4.5G", "input_size": "800x1280"})
    assert config.limits.given == {"max_params": 30_000_000, "max_macs": 4_500_000_000}
    assert config.limits.input_size == (800, 1280)


def test_excess_names_every_broken_bound(coatnet):
    cost = uninas.cost(coatnet)
    limits = Limits(max_params=cost.params // 2, min_macs=cost.macs * 2)
    assert limits.excess(cost) == {"max_params": pytest.approx(1, abs=1e-3), "min_macs": 0.5}
    assert Limits(max_params=cost.params, min_macs=cost.macs).excess(cost) == {}
    with pytest.raises(SpaceError, match=r"params are above max_params"):
        limits.check(coatnet)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"min_params": "2M", "max_params": "1M"}, SpaceError, r"min_params \(2.00M\) is above max_params \(1.00M\)"),
        ({"max_params": "lots"}, StudyError, "max_params: 'lots' is not a count"),
        ({"max_params": -5}, StudyError, "max_params: '-5' is not a count"),
        ({"iterations": 0}, StudyError, "iterations: .*greater than or equal to 1, got 0"),
        ({"iteration": 5}, StudyError, "iteration: unknown key; did you mean 'iterations'"),
        ({"strategy": "wander"}, StudyError, "strategy: .*'walk'.*got 'wander'"),
        ({"repeats": 3, "max_repeats": 2}, StudyError, "max_repeats: 2 is below repeats = 3"),
        ({"resume": True, "force": True}, StudyError, "exclude each other"),
    ],
)
def test_settings_that_cannot_be(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        SearchConfig.parse({"out": tmp_path, **settings})


def test_a_start_inside_the_limits_is_kept(space, coatnet):
    assert fit(space, coatnet, Limits(max_params="30M"), random.Random(0)) is coatnet


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_a_start_outside_the_limits_is_fitted(space, coatnet, factor):
    bound = int(uninas.cost(coatnet).params * factor)
    limits = Limits(max_params=bound) if factor < 1 else Limits(min_params=bound)
    fitted = fit(space, coatnet, limits, random.Random(0))
    assert limits.excess(uninas.cost(fitted)) == {}
    space.check(fitted)


def test_a_limit_that_nothing_meets_is_named(space, coatnet):
    with pytest.raises(SpaceError, match=r"params are above max_params = 2.00K; no network of space 'tiny'"):
        fit(space, coatnet, Limits(max_params=2000), random.Random(0))


def test_limits_of_the_space_hold_too(coatnet):
    space = Space.from_dict(tiny_space(limits={"min_width": 16, "width_multiple": 16, "max_params": "120k"}))
    rng, genotype = random.Random(0), coatnet
    for _ in range(40):
        genotype = space.mutate(genotype, rng)
        assert uninas.cost(genotype).params <= 120_000
