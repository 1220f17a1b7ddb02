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
