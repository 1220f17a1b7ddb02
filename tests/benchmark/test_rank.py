import json
from pathlib import Path

import numpy as np
import pytest

from uninas.benchmark import BenchmarkError, metrics
from uninas.benchmark.rank import Rank, RankConfig
from uninas.benchmark.scoring import Setting
from uninas.benchmark.text import notes, tables
from uninas.errors import ProxyError

from .official import arch_string

NONE = "none"
IDENTITY = arch_string([NONE, NONE, NONE, "skip_connect", NONE, NONE])
ARCHS = {
    arch_string(["nor_conv_3x3", NONE, "skip_connect", NONE, NONE, "nor_conv_1x1"]): 90.0,
    arch_string(["nor_conv_3x3", NONE, NONE, NONE, "nor_conv_1x1", NONE]): 89.5,  # the same network
    arch_string(["nor_conv_1x1", NONE, NONE, "skip_connect", "avg_pool_3x3", NONE]): 80.0,
    arch_string([NONE, NONE, NONE, "nor_conv_3x3", NONE, NONE]): 85.0,
    arch_string([NONE, NONE, NONE, "nor_conv_1x1", NONE, NONE]): 75.0,
    IDENTITY: 60.0,
}
TINY = Setting(batch=3, size=8)


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path / "table.csv", ARCHS)


def write_table(path: Path, accuracies: dict[str, float]) -> Path:
    lines = [f"{arch},{acc},{acc / 2}" for arch, acc in accuracies.items()]
    path.write_text("\n".join(["arch,c10,c100", *lines]) + "\n")
    return path


def config(table: Path, out: str = "out", **changes) -> RankConfig:
    settings = {"proxies": ("params", "naswot"), "setting": TINY, **changes}
    return RankConfig(table=table, out=table.parent / out, **settings)


def score(config: RankConfig) -> Rank:
    rank = Rank(config)
    rank.score()
    return rank


def run(config: RankConfig):
    return score(config).finish()


def values(config: RankConfig) -> dict:
    return {place: row[:5] for place, row in Rank(config).store.rows().items()}


def test_ranks_a_table(table):
    ranking, files = run(config(table, proxies=("params", "naswot", "logrank(params, naswot)")))
    assert len(ranking.archs) == 6
    assert len(set(ranking.keys)) == 5
    accuracies = ranking.accuracies["c10"]
    for name in ranking.proxies:
        (score,) = ranking.scores[name]
        assert ranking.result(name, "c10").metrics == metrics(accuracies, score)
        low, high = ranking.result(name, "c10").intervals.kendall
        assert low <= ranking.result(name, "c10").metrics.kendall <= high
    assert ranking.result("params", "c10").metrics.kendall == ranking.result("params", "c100").metrics.kendall > 0.7
    assert not ranking.failures
    assert [file.name for file in files] == ["scores.csv", "metrics.json", "scores.png", "metrics.png", "scores.sqlite"]
    assert all(file.stat().st_size > 100 for file in files)
    assert not list(table.parent.glob("out/draft*"))
    assert json.loads(files[1].read_text())["results"][0]["metrics"]["kendall"] > 0.7
    lines = files[0].read_text().splitlines()
    assert lines[0] == 'arch,key,c10,c100,seed,params,naswot,"logrank(params, naswot)"'
    assert len(lines) == 7
    assert [found.row_count for found in tables(ranking)] == [3, 3]


def test_an_aggregate_ranks_over_all_networks(table):
    ranking, _ = run(config(table, proxies=("params", "naswot", "logrank(params, naswot)")))
    expected = np.zeros(6)
    for name in ("params", "naswot"):
        values = np.array(ranking.scores[name][0])
        below, same = (values[:, None] > values).sum(1), (values[:, None] == values).sum(1)
        expected += np.log((below + (same + 1) / 2) / 6)
    assert ranking.scores["logrank(params, naswot)"][0] == pytest.approx(expected.tolist())


@pytest.mark.slow
def test_same_scores_from_any_number_of_workers_in_any_order(table):
    backwards = write_table(table.with_name("backwards.csv"), dict(reversed(ARCHS.items())))
    proxies = ("naswot", "jacov", "zen", "vkdnw")
    settings = [(table, 1), (backwards, 2), (backwards, 4)]
    found = []
    for path, workers in settings:
        enough = Setting(batch=14, size=8)  # for the rank that VKDNW needs
        chosen = config(path, f"workers{workers}", workers=workers, proxies=proxies, setting=enough)
        score(chosen)
        found.append(values(chosen))
    assert len(found[0]) == 5 * 4
    assert found[0] == found[1] == found[2]


def test_goes_on_where_it_was_interrupted(table):
    whole = config(table, "whole", seeds=2)
    score(whole)

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rank(config(table, seeds=2)).score(interrupt)
    seen = []
    rank = Rank(config(table, seeds=2))
    rank.score(lambda done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(3, 11)]
    ranking, _ = rank.finish()
    assert values(whole) == values(config(table))
    assert ranking.seeds == (0, 1)
    assert ranking.scores["naswot"][0] != ranking.scores["naswot"][1]


def test_more_proxies_and_networks_add_to_what_is_there(table):
    score(config(table, proxies=("naswot",), limit=3))
    before = values(config(table))
    score(config(table, proxies=("naswot", "jacov")))
    after = values(config(table))
    assert before.items() <= after.items()
    assert len(after) == 10


def test_a_later_seed_is_the_same_alone(table):
    score(config(table, "both", seeds=2))
    score(config(table, "second", seed=1))
    both, second = values(config(table, "both")), values(config(table, "second"))
    assert second.items() < both.items()


def test_another_setting_needs_force(table):
    run(config(table))
    other = Setting(batch=4, size=8)
    with pytest.raises(BenchmarkError, match="batch was 3, now 4"):
        Rank(config(table, setting=other))
    kept = table.parent / "out" / "notes.txt"
    kept.write_text("mine")
    score(config(table, setting=other, force=True))
    assert not (table.parent / "out" / "metrics.json").exists()
    run(config(table, setting=other))
    assert kept.read_text() == "mine"
    (table.parent / "out" / "scores.sqlite").unlink()
    with pytest.raises(BenchmarkError, match=r"without its scores\.sqlite"):
        Rank(config(table, setting=other))


def test_bad_architectures_are_skipped_and_failures_recorded(tmp_path):
    bad = {"|conv~0|": 50.0, arch_string([NONE] * 6): 10.0}
    table = write_table(tmp_path / "table.csv", {**ARCHS, **bad})
    ranking, files = run(config(table, proxies=("trainability", "params", "vkdnw_sampled")))
    assert set(ranking.skipped) == set(bad)
    assert ranking.scores["trainability"][0][ranking.archs.index(IDENTITY)] is None
    ((reason, count),) = ranking.failures["trainability"].items()
    assert count == 1
    assert "identity block" in reason
    assert ranking.result("trainability", "c10").metrics
    told = "\n".join(notes(ranking))
    assert "skipped |conv~0|" in told
    assert "trainability failed on 1, which rank last: identity block" in told
    assert json.loads(files[1].read_text())["skipped"]


def test_a_proxy_that_always_fails(table):
    ranking, _ = run(config(table, proxies=("jacov", "params"), setting=Setting(batch=1, size=8)))
    assert ranking.result("jacov", "c10").metrics is None
    assert "all failures" in (ranking.result("jacov", "c10").failure or "")
    assert ranking.result("params", "c10").metrics
    assert [found.row_count for found in tables(ranking)] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"proxies": ("parms",)}, ProxyError, "did you mean 'params'"),
        ({"proxies": ("logrank(params, nope)",)}, ProxyError, "no proxy 'nope'"),
        ({"proxies": ()}, BenchmarkError, "at least one proxy"),
        ({"columns": ("c1000",)}, BenchmarkError, "did you mean 'c100'"),
        ({"limit": 1}, BenchmarkError, "limit is a whole number of at least 2"),
        ({"workers": 0}, BenchmarkError, "workers"),
        ({"setting": Setting(batch=3, images="nowhere")}, BenchmarkError, "nowhere holds 0 images"),
    ],
)
def test_usage(table, changes, error, message):
    with pytest.raises(error, match=message):
        Rank(config(table, **changes))


@pytest.mark.parametrize("bad", [{"space": "nasbench101"}, {"batch": 0}, {"classes": 1}, {"device": "abacus"}])
def test_bad_settings(bad):
    with pytest.raises(BenchmarkError, match=next(iter(bad.values())) if "space" in bad else next(iter(bad))):
        Setting(**bad)


def test_no_networks(tmp_path):
    table = write_table(tmp_path / "t.csv", {"|a~0|": 50.0, "|b~0|": 60.0})
    with pytest.raises(BenchmarkError, match=r"0 networks of nasbench201 to rank; .* describes 1 nodes"):
        Rank(config(table))
