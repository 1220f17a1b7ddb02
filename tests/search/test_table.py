"""Columns and ranks in memory, beside the plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uninas.search.measurement import State
from uninas.search.table import FRESH, LATENCY, SEARCH, Ranks, Table

VALUES = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1.5]), st.floats(-1e6, 1e6))


def mean_ranks(values: dict[int, float]) -> dict[int, float]:
    """From 1 to n; equal values share the mean of their ranks: by the definition."""
    ordered = sorted(values.values())
    places = {v: [i + 1 for i, other in enumerate(ordered) if other == v] for v in set(ordered)}
    return {row: sum(places[v]) / len(places[v]) for row, v in values.items()}


@given(st.lists(st.tuples(st.integers(0, 12), VALUES), max_size=60))
def test_ranks_are_kept_up_to_date(changes):
    ranks, model = Ranks(), {}
    for row, value in changes:
        ranks.put(row, value)
        model.pop(row, None)
        if value is not None:
            model[row] = value
    assert ranks.count == len(model)
    found = ranks.ranks()
    expected = mean_ranks(model)
    for row in range(len(found)):
        assert found[row] == expected[row] if row in expected else math.isnan(found[row])


@given(st.lists(VALUES, min_size=1, max_size=40))
def test_filling_is_putting_one_by_one(values):
    one_by_one, at_once = Ranks(), Ranks()
    for row, value in enumerate(values):
        one_by_one.put(row, value)
    at_once.fill(np.array([math.nan if value is None else value for value in values]))
    np.testing.assert_array_equal(one_by_one.ranks()[: len(values)], at_once.ranks())
    at_once.put(0, 7.0)
    one_by_one.put(0, 7.0)
    np.testing.assert_array_equal(one_by_one.ranks()[: len(values)], at_once.ranks()[: len(values)])


def test_the_rank_of_a_value_that_is_not_there():
    ranks = Ranks()
    for row, value in enumerate([1.0, 2.0, 2.0, 5.0]):
        ranks.put(row, value)
    assert [ranks.rank_of(v) for v in (0.0, 1.0, 2.0, 3.0, 9.0)] == [0.5, 1.0, 2.5, 3.5, 4.5]


def filled(metrics=("a", "b")) -> Table:
    table = Table(metrics)
    for row in range(3):
        table.add(row, 10 * (row + 1), 100)
        for metric in metrics:
            table.record(row, metric, SEARCH, 0, float(row))
        table.measured(row)
    return table


def test_a_candidate_is_ranked_when_all_its_metrics_are_there():
    table = filled()
    table.add(3, 40, 100)
    table.record(3, "a", SEARCH, 0, 9.0)
    table.measured(3)
    assert not table.is_complete(3) and table.ranks("a").count == 3
    table.record(3, "b", SEARCH, 0, 9.0)
    table.measured(3)
    assert table.is_complete(3)
    assert table.ranks("a").ranks([3]) == [4] and table.ranks("params").ranks([3]) == [4]
    assert table.ranks("macs").ranks([0, 3]).tolist() == [2.5, 2.5]


def test_one_failure_takes_a_candidate_out_of_the_search_but_not_of_other_phases():
    table = filled()
    table.record(1, "a", SEARCH, 1, None)
    table.record(1, "b", SEARCH, 1, 4.0)
    table.measured(1)
    assert not table.is_complete(1) and table.ranks("b").count == 2
    table.record(2, "a", FRESH, 0, None)
    table.measured(2, FRESH)
    assert table.is_complete(2) and table.mean(2, "a", FRESH) is None and table.mean(2, "a") == 2.0


def test_repeats_change_the_mean_and_the_rank():
    table = filled()
    for metric in ("a", "b"):
        table.record(0, metric, SEARCH, 1, 5.0)
    table.measured(0)
    assert table.mean(0, "a") == 2.5 and table.ranks("a").ranks([0]) == [3]
    assert table.repeats(0) == 2 and table.repeats(1) == 1
    assert table.values(0, "a").tolist() == [0.0, 5.0]
    assert table.values(0, "params").tolist() == [10.0, 10.0]


def test_what_is_excluded_has_no_rank():
    table = filled()
    table.exclude(2)
    assert not table.is_complete(2) and table.ranks("a").count == 2


def test_latency_is_of_no_phase():
    table = Table(("latency@1x224",))
    table.add(0, 1, 1)
    table.record(0, "latency@1x224", LATENCY, 0, 0.02)
    table.measured(0)
    assert table.is_complete(0) and table.mean(0, "latency@1x224", FRESH) == 0.02


@pytest.mark.parametrize("rows", [0, 200])
def test_loading_gives_what_was_recorded_one_by_one(rows):
    rng = np.random.default_rng(0)
    one_by_one, loaded, measurements = Table(("a", "b")), Table(("a", "b")), []
    for row in range(rows):
        one_by_one.add(row, row, 2 * row)
        loaded.add(row, row, 2 * row)
        for repeat in range(rng.integers(1, 4)):
            for metric in ("a", "b"):
                value = None if rng.random() < 0.05 else round(float(rng.normal()), 1)
                state = State.FAILED if value is None else State.MEASURED
                measurements.append((row, metric, SEARCH, repeat, value, state))
                one_by_one.record(row, metric, SEARCH, repeat, value)
            one_by_one.measured(row)
    loaded.load(iter(measurements))
    for metric in ("a", "b", "params", "macs"):
        first, second = (table.ranks(metric).ranks()[:rows] for table in (one_by_one, loaded))
        np.testing.assert_array_equal(first, second)
