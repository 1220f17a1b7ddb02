import json
from pathlib import Path

import numpy as np
import pytest

from uninas.errors import ProxyError
from uninas.ranking import Labels, RankingError, metrics
from uninas.ranking.halves import half_of
from uninas.ranking.judging import SECOND
from uninas.ranking.metrics import NAMES
from uninas.ranking.rank import Rank, RankConfig
from uninas.ranking.results import METRIC_NAMES
from uninas.ranking.scoring import Setting
from uninas.ranking.store import Row
from uninas.ranking.text import notes, tables

from .tables import tabulated
from .tables.official import arch_string

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
    assert ranking.proxies == ("params", "naswot", "logrank(params, naswot)", "macs", "depth")
    assert len(ranking.keys) == 6
    assert len(set(ranking.keys)) == 5
    accuracies = ranking.table.column("c10").labels
    sizes = np.array([ranking.scores[name][0] for name in ("params", "macs")]).T
    for name in ranking.proxies:
        (score,) = ranking.scores[name]
        found = ranking.result(name, "c10")
        assert found.networks == 6
        assert found.metrics == metrics(Labels(accuracies, sizes=sizes), score)
        low, high = found.intervals.kendall
        assert low <= found.metrics.kendall <= high
        assert list(found.leads) == ([] if name == "macs" else ["macs"])
    assert ranking.result("params", "c10").metrics.kendall == ranking.result("params", "c100").metrics.kendall > 0.7
    assert ranking.scores["depth"][0][ranking.table.names.index(IDENTITY)] < max(ranking.scores["depth"][0])
    assert not ranking.failures
    assert [file.name for file in files] == ["scores.csv", "metrics.json", "scores.png", "metrics.png", "scores.sqlite"]
    assert all(file.stat().st_size > 100 for file in files)
    assert not list(table.parent.glob("out/draft*"))
    data = json.loads(files[1].read_text())
    assert data["results"][0]["metrics"]["kendall"] > 0.7
    assert [result["baseline"] for result in data["results"][:5]] == [True, False, False, True, True]
    lines = files[0].read_text().splitlines()
    assert lines[0] == 'network,key,half,c10,c100,seed,params,naswot,"logrank(params, naswot)",macs,depth'
    assert len(lines) == 7
    assert [found.row_count for found in tables(ranking)] == [5, 5]


def test_references_are_ranked_too(table):
    ranking, _ = run(config(table, proxies=("params",), references=("logrank(params,naswot)", "depth")))
    assert ranking.references == ("logrank(params, naswot)", "depth")
    assert list(ranking.result("params", "c10").leads) == ["logrank(params, naswot)", "depth"]
    assert list(ranking.result("depth", "c10").leads) == ["logrank(params, naswot)"]
    low, high = ranking.result("params", "c10").leads["depth"].kendall
    assert low <= high
    headers = [column.header for column in next(tables(ranking)).columns]
    assert headers[-3:] == ["lead over logrank(params, naswot)", "lead over depth", "s"]


def test_a_half_is_scored_alone_and_keeps_what_the_whole_has(table):
    whole, _ = run(config(table))
    found = {}
    for half in ("choose", "judge"):
        ranking, _ = run(config(table, half=half))
        found[half] = set(ranking.keys)
        assert found[half] == {key for key in whole.keys if half_of(key) == half}
        assert ranking.to_json()["half"] == half
    assert found["choose"] and found["judge"]


def test_halves_of_a_limit_are_halves_of_what_it_draws(table):
    drawn = set(Rank(config(table, limit=5)).table.names)
    parts = [set(Rank(config(table, limit=5, half=half)).table.names) for half in ("choose", "judge")]
    assert parts[0] | parts[1] == drawn and not parts[0] & parts[1]


@pytest.fixture
def trained(tmp_path):
    """A table of `uninas tabulate`, and how to rank it."""
    folder = tabulated.write(tmp_path / "table")
    return folder, Setting("uninas_tiny", batch=4, size=32, classes=4)


def test_tasks_families_second_trainings_and_losses(trained):
    folder, setting = trained
    ranking, _ = run(config(folder, proxies=("naswot",), setting=setting))
    assert {(r.column, r.networks) for r in ranking.results if r.proxy == "naswot"} == {
        ("a", 7), ("a_loss", 7), ("b", 3), ("b_loss", 3),
    }  # fmt: skip
    second = ranking.result(SECOND, "a")
    assert (second.networks, second.metrics.kendall, second.leads) == (4, pytest.approx(1), {})
    assert ranking.result(SECOND, "a_loss").metrics.kendall == pytest.approx(1)
    assert [r.column for r in ranking.results if r.proxy == SECOND] == ["a", "a_loss"]
    up, down = (ranking.result("naswot", name).metrics for name in ("a", "a_loss"))
    assert up.kendall == pytest.approx(down.kendall)
    assert (up.ndcg is None, down.ndcg is None) == (False, True)
    assert "training failed: diverged" in ranking.skipped.values()
    told = "\n".join(notes(ranking))
    assert "training failed: diverged" in told
    labels = list(next(tables(ranking)).columns[0].cells)
    assert f"{SECOND} (of 4)" in labels and {"naswot", "params", "macs", "depth"} < set(labels)
    titles = [found.title for found in tables(ranking)]
    assert titles == [
        "a, 7 networks",
        "a_loss, 7 networks, less is better",
        "b, 3 networks",
        "b_loss, 3 networks, less is better",
    ]


def test_the_ceiling_may_come_first_and_is_of_fewer_networks(trained):
    """A title counts the networks of the column, not those of its best row."""
    folder, setting = trained
    rank = Rank(config(folder, proxies=("naswot",), setting=setting, tasks=("a",)))
    rng = np.random.default_rng(0)
    rank.store.add(Row(key, name, 0, float(rng.uniform()), None, 0.1) for key in rank.keys for name in rank.bases)
    ranking, _ = rank.finish()
    found = next(tables(ranking))
    assert found.title == "a, 7 networks"
    assert sorted(found.columns[0].cells) == [f"{SECOND} (of 4)", "depth", "macs", "naswot", "params"]
    assert next(iter(found.columns[0].cells)) == f"{SECOND} (of 4)"


def test_every_metric_has_a_name_to_print():
    assert tuple(METRIC_NAMES) == NAMES


def test_one_task(trained):
    folder, setting = trained
    ranking, _ = run(config(folder, proxies=("params",), setting=setting, tasks=("b",)))
    assert len(ranking.keys) == 3  # only those that were trained for it are scored
    assert {r.column for r in ranking.results} == {"b", "b_loss"}


MINE = """
import torch
from torch import nn
from uninas.ranking.tables import Benchmark, Column, Inputs, Table
import numpy as np

def read(path):
    lines = [line.split() for line in path.read_text().splitlines()]
    errors = np.array([[float(error)] for _, error in lines])
    return Table(tuple(width for width, _ in lines), (Column("error", "shapes", errors, False, False),))

def module(arch, classes, seed):
    if arch == "7":
        raise ZeroDivisionError("seven")
    generator = torch.Generator().manual_seed(seed)
    width = int(arch)
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
    net = nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), *pooled)
    for p in net.parameters():
        nn.init.normal_(p, generator=generator)
    return net

BENCHMARK = Benchmark("mine", "widths and errors", lambda path: False, read, str, module, Inputs(1, 8), 3)
"""


def test_any_torch_module_of_a_table_of_ones_own(tmp_path):
    """One channel, errors of which less is better and that are no percentages, built by the user's code."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "table.txt").write_text("4 0.5\n8 0.4\n16 0.3\n7 0.2\n")
    setting = Setting.of(str(tmp_path / "mine.py"), batch=4)
    assert (setting.size, setting.classes) == (8, 3)
    ranking, _ = run(config(tmp_path / "table.txt", proxies=("naswot",), setting=setting))
    assert ranking.failures["naswot"] == {"ZeroDivisionError: seven": 1}
    params = dict(zip(ranking.table.names, ranking.scores["params"][0]))
    assert params == {"4": 10 * 4 + 15, "8": 10 * 8 + 27, "16": 10 * 16 + 51, "7": None}
    assert ranking.result("params", "error").metrics.kendall == pytest.approx(
        0
    )  # 1 without the failure, which ranks last
    assert ranking.result("params", "error").metrics.ndcg is None


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
    settings = [(table, 1), (backwards, 2)]
    found = []
    for path, workers in settings:
        enough = Setting(batch=14, size=8)  # for the rank that VKDNW needs
        chosen = config(path, f"workers{workers}", workers=workers, proxies=proxies, setting=enough)
        score(chosen)
        found.append(values(chosen))
    assert len(found[0]) == 5 * 7
    assert found[0] == found[1]


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
    assert len(after) == 25  # params, MACs and depth are always there


def test_a_later_seed_is_the_same_alone(table):
    score(config(table, "both", seeds=2))
    score(config(table, "second", seed=1))
    both, second = values(config(table, "both")), values(config(table, "second"))
    assert second.items() < both.items()


def test_another_setting_needs_force(table):
    run(config(table))
    other = Setting(batch=4, size=8)
    with pytest.raises(RankingError, match="batch was 3, now 4"):
        Rank(config(table, setting=other))
    kept = table.parent / "out" / "notes.txt"
    kept.write_text("mine")
    score(config(table, setting=other, force=True))
    assert not (table.parent / "out" / "metrics.json").exists()
    run(config(table, setting=other))
    assert kept.read_text() == "mine"
    (table.parent / "out" / "scores.sqlite").unlink()
    with pytest.raises(RankingError, match=r"without its scores\.sqlite"):
        Rank(config(table, setting=other))


def test_bad_architectures_are_skipped_and_failures_recorded(tmp_path):
    bad = {"|conv~0|": 50.0, arch_string([NONE] * 6): 10.0}
    table = write_table(tmp_path / "table.csv", {**ARCHS, **bad})
    ranking, files = run(config(table, proxies=("trainability", "params", "vkdnw_sampled")))
    assert set(ranking.skipped) == set(bad)
    assert ranking.scores["trainability"][0][ranking.table.names.index(IDENTITY)] is None
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
    assert [found.row_count for found in tables(ranking)] == [4, 4]


@pytest.mark.parametrize(
    "reason",
    ["RuntimeError: [enforce fail at alloc_cpu.cpp:118] can't allocate memory", "out of memory: 2 GB", "CUDA error: x"],
)
def test_what_the_machine_failed_is_scored_again(table, reason):
    rank = score(config(table))
    key = rank.keys[0]
    rank.store.add([Row(key, "naswot", 0, None, reason, 0.1), Row(rank.keys[-1], "naswot", 0, None, "no gates", 0.1)])
    ranking, _ = rank.finish()
    assert set(ranking.failures["naswot"]) == {reason, "no gates"}
    ranking, _ = run(config(table))
    assert ranking.failures["naswot"] == {"no gates": 1}
    assert ranking.scores["naswot"][0][0] is not None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"proxies": ("parms",)}, ProxyError, "did you mean 'params'"),
        ({"proxies": ("logrank(params, nope)",)}, ProxyError, "no proxy 'nope'"),
        ({"proxies": ()}, RankingError, "at least one proxy"),
        ({"tasks": ("c1000",)}, RankingError, "did you mean 'c100'"),
        ({"references": ("parms",)}, ProxyError, "did you mean 'params'"),
        ({"limit": 1}, RankingError, "limit is a whole number of at least 2"),
        ({"workers": 0}, RankingError, "workers"),
        ({"setting": Setting(batch=3, images="nowhere")}, RankingError, "nowhere holds 0 images"),
    ],
)
def test_usage(table, changes, error, message):
    with pytest.raises(error, match=message):
        Rank(config(table, **changes))


@pytest.mark.parametrize("bad", [{"benchmark": "nasbench101"}, {"batch": 0}, {"classes": 1}, {"device": "abacus"}])
def test_bad_settings(bad):
    with pytest.raises(RankingError, match=next(iter(bad.values())) if "benchmark" in bad else next(iter(bad))):
        Setting(**bad)


def test_no_networks(tmp_path):
    table = write_table(tmp_path / "t.csv", {"|a~0|": 50.0, "|b~0|": 60.0})
    with pytest.raises(RankingError, match=r"0 networks of nasbench201 to rank; .* describes 1 nodes"):
        Rank(config(table))
