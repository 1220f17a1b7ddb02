"""Objectives: what text means, and values beside the definition over whole tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from uninas import proxies
from uninas.errors import ProxyError
from uninas.proxies import registry
from uninas.search.measurement import State
from uninas.search.objective import Objective, parse_objectives
from uninas.search.table import FRESH, SEARCH, Table

AGGREGATES = ("vkdnw_agg", "uninas_agg", "az_nas", "learning_agg")
RESIDUALS = "logrank(params, residual(naswot), residual(jacov), macs, naswot)"
ODDS = RESIDUALS.replace("logrank", "logodds")


def table_of(objective: Objective, rows: int = 30, seed: int = 0) -> tuple[Table, list[dict[str, float]]]:
    """A table of random values, some equal, and the same as rows."""
    rng = np.random.default_rng(seed)
    table, plain = Table(objective.measured), []
    for row in range(rows):
        params, macs = int(rng.integers(1, 9)), int(rng.integers(1, 9))
        table.add(row, params, macs)
        values = {metric: round(float(rng.normal()), 1) for metric in objective.measured}
        for metric, value in values.items():
            table.record(row, metric, SEARCH, 0, value)
        table.measured(row)
        plain.append({**values, "params": params, "macs": macs, "complexity": macs})
    return table, plain


@pytest.mark.parametrize("text", [*AGGREGATES, "logrank(macs, jacov, vkdnw_single)", RESIDUALS, ODDS])
def test_an_aggregate_is_the_sum_over_the_ranks_of_all_networks(text):
    objective = Objective.parse(text)
    table, rows = table_of(objective)
    expected = proxies.parse(text)(rows)
    np.testing.assert_allclose(objective.scores(table), expected)
    for row in range(len(rows)):
        assert objective.score(table, row) == pytest.approx(expected[row])
        assert objective.by_repeat(table, row) == pytest.approx([expected[row]])


def test_ranks_change_as_the_table_grows():
    objective = Objective.parse("vkdnw_agg")
    table, _ = table_of(objective)
    before = objective.score(table, 0)
    table.add(30, 100, 100)
    for metric in objective.measured:
        table.record(30, metric, SEARCH, 0, 100.0)
    table.measured(30)
    assert objective.score(table, 0) < before
    assert objective.scores(table).argmax() == 30 and objective.score(table, 30) == 0


def test_residuals_change_as_the_table_grows():
    objective = Objective.parse(RESIDUALS)
    assert objective.measured == ("naswot", "jacov") and objective.metrics[:2] == ("params", "naswot")
    table, rows = table_of(objective)
    before = objective.scores(table)
    table.add(30, 3, 9)
    for metric in objective.measured:
        table.record(30, metric, SEARCH, 0, 0.25)
    table.measured(30)
    rows.append({"naswot": 0.25, "jacov": 0.25, "params": 3, "macs": 9})
    expected = proxies.parse(RESIDUALS)(rows)
    np.testing.assert_allclose(objective.scores(table), expected)
    assert not np.allclose(objective.scores(table)[:30], before)
    assert objective.score(table, 30) == pytest.approx(expected[30])
    loaded = Table(objective.measured)
    for row, values in enumerate(rows):
        loaded.add(row, values["params"], values["macs"])
    loaded.load(
        (row, metric, SEARCH, 0, values[metric], State.MEASURED)
        for row, values in enumerate(rows)
        for metric in objective.measured
    )
    np.testing.assert_allclose(objective.scores(loaded), expected)


def test_residuals_of_a_failure_and_of_an_excluded_candidate():
    objective = Objective.parse(RESIDUALS)
    table, rows = table_of(objective)
    table.record(4, "jacov", SEARCH, 1, None)
    table.measured(4)
    table.exclude(7)
    scores = objective.scores(table)
    assert scores[4] == scores[7] == objective.score(table, 4) == -math.inf
    left = [row for i, row in enumerate(rows) if i not in (4, 7)]
    np.testing.assert_allclose(np.delete(scores, [4, 7]), proxies.parse(RESIDUALS)(left))


def test_a_residual_of_a_repeat_is_ranked_against_those_of_the_means():
    objective = Objective.parse("logrank(residual(jacov))")
    table, rows = table_of(objective, 20)
    top = max(row["jacov"] for row in rows) + 1
    table.record(0, "jacov", SEARCH, 1, top)
    table.measured(0)
    _, second = objective.by_repeat(table, 0)
    assert math.log(0.5 / 20) <= second <= math.log(20.5 / 20)
    low = table.values(0, "jacov")[0]
    assert (second > objective.by_repeat(table, 0)[0]) == (top > low)


def test_single_proxies_are_their_value_and_a_minus_minimises():
    up, down = Objective.parse("naswot"), Objective.parse("-naswot")
    table, rows = table_of(up)
    np.testing.assert_allclose(up.scores(table), [row["naswot"] for row in rows])
    np.testing.assert_allclose(down.scores(table), [-row["naswot"] for row in rows])
    assert Objective.parse("-params").measured == ()
    assert Objective.parse("-params").scores(table)[3] == -rows[3]["params"]


def test_a_proxy_that_is_lower_for_better_networks_is_minimised(monkeypatch):
    monkeypatch.setattr(registry, "LOWER_IS_BETTER", {"naswot"})
    assert Objective.parse("naswot").signs == (-1,)
    aggregate = Objective.parse("logrank(naswot, jacov)")
    table, rows = table_of(aggregate)
    np.testing.assert_allclose(aggregate.scores(table), proxies.parse("logrank(naswot, jacov)")(rows))
    residual = Objective.parse("logrank(residual(naswot), jacov)")
    np.testing.assert_allclose(residual.scores(table), proxies.parse("logrank(residual(naswot), jacov)")(rows))


def test_failures_are_minus_infinity_never_a_number():
    objective = Objective.parse("vkdnw_agg")
    table, _ = table_of(objective)
    table.record(4, "jacov", SEARCH, 1, None)
    table.measured(4)
    scores = objective.scores(table)
    assert scores[4] == -math.inf and objective.score(table, 4) == -math.inf
    assert np.isfinite(np.delete(scores, 4)).all()
    assert np.isnan(objective.by_repeat(table, 0, FRESH)).all()


def test_an_empty_table_has_no_scores():
    for text in ("vkdnw_agg", "naswot", "-params", RESIDUALS):
        assert len(Objective.parse(text).scores(Table(Objective.parse(text).measured))) == 0


def test_repeats_of_a_candidate_are_ranked_against_the_means():
    objective = Objective.parse("logrank(jacov)")
    table, rows = table_of(objective, 20)
    top = max(row["jacov"] for row in rows) + 1
    table.record(0, "jacov", SEARCH, 1, top)
    table.measured(0)
    first, second = objective.by_repeat(table, 0)
    assert second == pytest.approx(math.log(20.5 / 20)) and first < second


def test_costs_are_counted_and_latency_is_measured_apart():
    objective = Objective.parse("uninas_agg")
    assert "params" not in objective.measured and "macs" not in objective.measured
    assert Objective.parse("az_nas").measured == ("expressivity", "progressivity", "trainability")
    latency = Objective.parse("-latency", "8x320")
    assert latency.metrics == latency.latencies == ("latency@8x320",) and latency.signs == (-1,)
    assert Objective.parse("latency@1x64").metrics == ("latency@1x64",)


def test_several():
    found = parse_objectives("vkdnw_agg,-params, logrank(macs, jacov) ,-latency")
    assert [o.name for o in found] == ["vkdnw_agg", "-params", "logrank(macs, jacov)", "-latency"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vkdwn_agg", "did you mean 'vkdnw_agg'"),
        ("-vkdnw_agg", "without the minus"),
        ("logrank(nope)", "there is no proxy 'nope'"),
        ("latency@big", "not an input"),
        ("latencies", "there is no proxy 'latencies'.*latency@1x224"),
        ("", "at least one name"),
        ("params,params", "written twice"),
    ],
)
def test_what_is_not_understood_says_so(text, words):
    with pytest.raises(ProxyError, match=words):
        parse_objectives(text)
