"""Networks side by side: differences are those of pairs, and what fails for one is a failure of that one."""

from __future__ import annotations

import csv
import io
import statistics

import pytest

import uninas
from uninas.errors import ProxyError
from uninas.profiling import ProfilingError, compare, compare_networks
from uninas.profiling.compare import ScoreSettings, Value
from uninas.profiling.text import comparison_csv, comparison_table
from uninas.report.scores import score_table

from .nets import small

NETWORKS = {"one": small("resnet"), "two": small("coatnet")}
SCORING = ScoreSettings((16, 16), 4, 3, 3, 7)
SETTINGS = {"size": (32, 32), "classes": 5, "threads": 1, "scoring": SCORING}


def text(networks) -> list[list[str]]:
    """The cells of the table, by column."""
    return [[str(cell) for cell in column.cells] for column in comparison_table(networks).columns]


@pytest.fixture(scope="module")
def compared():
    return compare_networks(NETWORKS, proxies=("naswot", "params"), **SETTINGS)


def test_costs_beside_those_of_the_first(compared):
    one, two = compared
    costs = [uninas.cost(genotype, 32, 5) for genotype in NETWORKS.values()]
    assert [each.costs["params"].value for each in compared] == [c.params for c in costs]
    assert two.costs["macs"].relative == pytest.approx(costs[1].macs / costs[0].macs - 1)
    assert all(value.relative is None for value in (*one.costs.values(), *one.scores.values()))
    assert two.costs["latency"].relative == pytest.approx(two.costs["latency"].value / one.costs["latency"].value - 1)
    assert one.costs["latency"].value <= one.costs["latency_p90"].value and one.costs["peak_memory"].value > 0
    assert not one.failures and not two.failures


def test_scores_are_those_of_the_command_on_equal_noise(compared):
    one, two = compared
    for each, genotype in zip(compared, NETWORKS.values()):
        rows = score_table(genotype, ["naswot"], *SCORING)
        assert list(each.scores["naswot"].repeats) == rows["naswot"]["values"]
        assert each.scores["naswot"].standard_error == rows["naswot"]["standard_error"]
    pairs = [b - a for a, b in zip(one.scores["naswot"].repeats, two.scores["naswot"].repeats)]
    first = one.scores["naswot"].value
    assert two.scores["naswot"].relative == pytest.approx(statistics.fmean(pairs) / abs(first))
    assert two.scores["naswot"].relative_error == pytest.approx(statistics.stdev(pairs) / 3**0.5 / abs(first))


def test_a_proxy_called_like_a_cost_is_another_number(compared):
    assert compared[0].scores["params"].value != compared[0].costs["params"].value  # 3 classes, 5 classes
    (head, *_) = csv.reader(io.StringIO(comparison_csv(compared)))
    assert "params" in head and "score params" in head and len(set(head)) == len(head)


def test_tables(compared):
    titles, first, second = text(compared)
    assert titles[0] == "parameters" and titles[-1] == "params" and len(titles) == 7
    assert "%" not in first[0] and "%" in second[0] and "+-" in first[-2] and " +- " in second[-2]
    rows = list(csv.DictReader(io.StringIO(comparison_csv(compared))))
    assert [row["network"] for row in rows] == ["one", "two"]
    assert float(rows[1]["macs relative"]) == compared[1].costs["macs"].relative and rows[0]["macs relative"] == ""


def test_one_fails_and_others_go_on(monkeypatch):
    measure = compare.profile_network

    def profile(genotype, **settings):
        if genotype == NETWORKS["one"]:
            raise ProfilingError("no room")
        return measure(genotype, **settings)

    def scores(genotype, names, *settings):
        failed = {"values": [None], "mean": None, "standard_error": None, "failure": "zero gradients: all are 0"}
        fine = {"values": [2.0], "mean": 2.0, "standard_error": None, "failure": None}
        return dict.fromkeys(names, failed if genotype == NETWORKS["two"] else fine)

    monkeypatch.setattr(compare, "profile_network", profile)
    monkeypatch.setattr(compare, "score_table", scores)
    one, two = compare_networks(NETWORKS, proxies=("naswot",), **SETTINGS)
    assert one.failures == dict.fromkeys(("latency", "latency_p90", "peak_memory"), "no room")
    assert two.failures == {"naswot": "zero gradients: all are 0"}
    assert two.costs["latency"].value > 0 and two.costs["latency"].relative is None
    _, first, second = text([one, two])
    assert first[2] == "failed" and second[-1] == "no score" and first[0] != "failed"
    assert "naswot: zero gradients" in comparison_csv([one, two])


def test_images_that_are_too_small_for_one():
    networks = {"fine": small("resnet"), "patches": small("convnext")}
    fine, patches = compare_networks(networks, **{**SETTINGS, "size": (3, 3)})
    assert not fine.failures and fine.costs["params"].value
    assert set(patches.failures) == set(patches.costs) and "patch" in patches.failures["macs"]


def test_proxies_are_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(compare, "profile_network", lambda *_, **__: pytest.fail("measured"))
    for name in ("az_nas", "no_such"):
        with pytest.raises(ProxyError):
            compare_networks(NETWORKS, proxies=(name,), **SETTINGS)


@pytest.mark.parametrize(
    ("value", "first", "relative"),
    [
        (Value(-1.0), Value(-2.0), 0.5),
        (Value(3.0), Value(2.0), 0.5),
        (Value(3.0), Value(0.0), None),
        (Value(None), Value(2.0), None),
        (Value(3.0), Value(None), None),
    ],
)
def test_a_difference_is_up_where_the_value_is_larger(value, first, relative):
    assert compare._beside(value, first).relative == relative
