from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import uninas
from uninas.errors import ProxyError
from uninas.proxies import AGGREGATES, parse, score
from uninas.proxies.aggregate import ranks

TABLE = [
    {"macs": 3.0, "jacov": -1.0, "params": 1.0},
    {"macs": 1.0, "jacov": -3.0, "params": 1.0},
    {"macs": 2.0, "jacov": None, "params": 5.0},
    {"macs": 2.0, "jacov": math.nan},
]


def test_log_rank_sum():
    found = parse("logrank(macs, jacov)")(TABLE)
    expected = [np.log(4 / 4) + np.log(4 / 4), np.log(1 / 4) + np.log(3 / 4)] + [np.log(2.5 / 4) + np.log(1.5 / 4)] * 2
    assert found == pytest.approx(expected)


def test_log_odds_sum():
    found = parse("logodds(macs, jacov)")(TABLE)
    equal = np.log(2.5 / 2.5) + np.log(1.5 / 3.5)
    expected = [np.log(4 / 1) + np.log(4 / 1), np.log(1 / 4) + np.log(3 / 2), equal, equal]
    assert found == pytest.approx(expected)
    assert parse("logodds(macs,jacov , jacov)").name == "logodds(macs, jacov, jacov)"


def test_what_is_written_twice_counts_twice():
    twice, once = (np.asarray(parse(f"logodds({members})")(TABLE)) for members in ("jacov, macs, jacov", "jacov, macs"))
    assert twice == pytest.approx(once + parse("logodds(jacov)")(TABLE))


def test_failures_rank_last_and_ties_share():
    assert ranks(TABLE, "jacov").tolist() == [4, 3, 1.5, 1.5]
    assert ranks(TABLE, "params").tolist() == [2.5, 2.5, 4, 1]
    assert ranks([], "macs").tolist() == []


def test_ranks_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).integers(0, 20, 50).astype(float)
    assert np.array_equal(ranks([{"macs": v} for v in values], "macs"), stats.rankdata(values))


def test_named_aggregates():
    assert parse("vkdnw_agg").proxies == ("vkdnw_single", "jacov", "expressivity", "trainability", "macs")
    assert parse(" az_nas ") is AGGREGATES["az_nas"]
    assert parse("az_nas").proxies == ("expressivity", "progressivity", "trainability", "complexity")
    assert parse("jacov").proxies == ("jacov",) and parse("jacov").name == "jacov"
    assert parse("logrank( macs,jacov )").name == "logrank(macs, jacov)"


@pytest.mark.parametrize("name", ["resnet", "efficientnet", "vit", "coatnet", "convnext"])
def test_our_aggregate_has_a_value_for_every_kind_of_network(name):
    net = uninas.build(uninas.blocks.network(name, widths=(32, 32, 64, 64), depths=(1, 1, 1, 1)), 5, seed=0)
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    scores = score(net, parse("uninas_agg").proxies, x)
    assert {member: found.failure for member, found in scores.items() if found.failure} == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vkdnw_ag", "did you mean 'vkdnw_agg'"),
        ("logrank(mac, jacov)", "did you mean 'macs'"),
        ("logrank()", "write it as"),
        ("logodds(macs, )", r"write it as logodds\(macs, jacov"),
        ("logodd(macs)", r"did you mean 'logodds\(\.\.\.\)'"),
        ("logodds(macs, az_nas)", "az_nas is an aggregate and no member of one"),
        ("logodds(residual(az_nas))", "az_nas is an aggregate and no member of one"),
        ("logrank(macs,)", "write it as"),
        ("logrank(macs", "no proxy"),
    ],
)
def test_what_is_not_understood(text, message):
    with pytest.raises(ProxyError, match=message):
        parse(text)


def test_a_proxy_that_no_row_has():
    with pytest.raises(ProxyError, match="no proxy 'naswot'"):
        parse("naswot")(TABLE)


def sized(rows: int = 40, seed: int = 0) -> list[dict[str, float | None]]:
    """Networks whose naswot and jacov both grow with size, and one signal that does not."""
    rng = np.random.default_rng(seed)
    params, macs = np.exp(rng.normal(13, 1, rows)).round(), np.exp(rng.normal(16, 1, rows)).round()
    own = rng.normal(size=rows)
    naswot = np.log(params) + 2 * np.log(macs) + 0.3 * own
    return [
        {"params": float(p), "macs": float(m), "naswot": float(n), "jacov": float(p), "zen": float(z)}
        for p, m, n, z in zip(params, macs, naswot, own)
    ]


def residual_by_definition(table: list, name: str) -> np.ndarray:
    values = np.array([row[name] for row in table])
    logs = np.log([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values]) - np.log(len(table))
    size = np.log([[row["params"], row["macs"]] for row in table])
    design = np.column_stack([np.ones(len(table)), size])
    return logs - design @ np.linalg.inv(design.T @ design) @ design.T @ logs


def test_a_residual_is_ranked_by_what_size_does_not_tell():
    table = sized()
    remains = residual_by_definition(table, "naswot")
    shares = (np.argsort(np.argsort(remains)) + 1) / len(table)
    assert parse("logrank(residual(naswot))")(table) == pytest.approx(np.log(shares))
    both = parse("logrank(params, residual(naswot))")(table)
    assert both == pytest.approx(np.log(shares) + np.log(ranks(table, "params") / len(table)))
    size = np.log([row["params"] * row["macs"] ** 2 for row in table])
    with_size = np.corrcoef(size, [row["naswot"] for row in table])[0, 1]
    assert with_size > 0.9 and abs(np.corrcoef(size, remains)[0, 1]) < 0.2


def test_what_is_measured_for_residuals():
    found = parse(" logrank( params,residual( naswot ), naswot) ")
    assert found.name == "logrank(params, residual(naswot), naswot)"
    assert found.members == ("params", "residual(naswot)", "naswot")
    assert found.proxies == ("params", "naswot", "macs")
    assert [(term.proxy, term.given_size) for term in found.terms] == [
        ("params", False), ("naswot", True), ("naswot", False),
    ]  # fmt: skip
    assert parse("uninas_agg").members == parse("uninas_agg").proxies


def test_residuals_of_failures_are_last_and_change_no_others():
    table = sized(20)
    good = parse("logrank(residual(naswot))")(table)
    failed = [*table, {**table[0], "naswot": None}, {**table[1], "naswot": math.nan}, {"naswot": 1.0}]
    found = parse("logrank(residual(naswot))")(failed)
    assert np.argsort(found[:20]).tolist() == np.argsort(good).tolist()
    assert len(set(found[20:])) == 1 and found[20] < found[:20].min()


def test_networks_of_one_size_are_ranked_as_they_are():
    table = [{**row, "params": 5.0, "macs": 7.0} for row in sized()]
    assert parse("logrank(residual(zen))")(table) == pytest.approx(parse("logrank(zen)")(table))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("residual(naswot)", r"write logrank\(residual\(naswot\)\)"),
        ("logrank(residual(nasswot))", "did you mean 'naswot'"),
        ("logrank(residual(params))", "is nothing"),
        ("logrank(residual())", "no proxy ''"),
        ("logrank(residual(naswot, macs))", "no proxy"),
        ("logrank(residual(residual(naswot)))", "no proxy"),
        ("logrank(residual(naswot)", "no proxy"),
    ],
)
def test_residuals_that_are_not_understood(text, message):
    with pytest.raises(ProxyError, match=message):
        parse(text)


def test_residuals_need_the_size():
    with pytest.raises(ProxyError, match="no proxy 'params'"):
        parse("logrank(residual(naswot))")([{"naswot": 1.0, "macs": 2.0}])
