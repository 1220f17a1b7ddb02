"""What `uninas rank` stored, taken up again; and the choice of members from it."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from graphs import benchmark
from scipy.stats import kendalltau

from uninas import proxies
from uninas.errors import ProxyError
from uninas.proxies import parse
from uninas.ranking import Labels, RankingError, metrics
from uninas.ranking import choosing as choosing_module
from uninas.ranking.choosing import Chooser, members_of
from uninas.ranking.halves import half_of
from uninas.ranking.rank import Rank, RankConfig
from uninas.ranking.scoring import Setting
from uninas.ranking.store import Row
from uninas.ranking.stored import read_stored

SIGNALS = ("naswot", "jacov", "zico", "synflow")
DIGITS = [f"{i:08d}" for i in itertools.islice((int(np.base_repr(n, 3)) for n in range(3**8)), 0, 6561, 109)]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """61 networks of NAS-Bench-Macro with invented accuracies."""
    rng = np.random.default_rng(0)
    data = {arch: {"test_acc": rng.uniform(80, 90, 2).round(3).tolist()} for arch in DIGITS}
    path = tmp_path_factory.mktemp("table") / "macro.json"
    path.write_text(json.dumps(data))
    return path


def config(table: Path, folder: Path, **changes) -> RankConfig:
    return RankConfig(table, SIGNALS, folder, **{"setting": Setting("nasbench_macro", batch=2, size=8), **changes})


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """Invented scores of 50 of them, two seeds: jacov and zico are the best, synflow fails on one."""
    out = tmp_path_factory.mktemp("scores")
    rank, rng = Rank(config(table, out, limit=50, seeds=2)), np.random.default_rng(1)
    labels = rank.table.column("cifar10").labels
    for seed in rank.seeds:
        noise = {"naswot": 20, "jacov": 2, "zico": 2, "synflow": 9, "params": 6, "macs": 5, "depth": 9}
        rows = [
            Row(key, name, seed, float(label + rng.normal(0, spread)), None, 0.1)
            for key, label in zip(rank.keys, labels)
            for name, spread in noise.items()
        ]
        rows += [Row(rank.keys[0], "synflow", seed, None, "not finite: of no use", 0.1)]
        rank.store.add(rows)
    rank.score()  # nothing is missing
    rank.store.close()
    return out


def test_takes_up_what_was_drawn_and_scored(table, folder):
    rank = Rank(config(table, folder, limit=50, seeds=2))
    found = read_stored(folder, table)
    assert sorted(found.keys) == sorted(rank.keys) and len(found.runs) == 2
    assert found.signals == tuple(sorted([*SIGNALS, "params", "macs", "depth"]))
    place = found.keys.index(rank.keys[0])
    assert found.scores("synflow")[1][place] is None
    rows = rank.store.rows()
    for name in ("jacov", "depth"):
        assert found.scores(name)[1] == [rows[key, name, 1].value for key in found.keys]
    assert found.scores("logrank(jacov, zico)")[0] == parse("logrank(jacov, zico)")(found.runs[0]).tolist()


def test_networks_that_were_not_drawn_are_left_out(table, folder, tmp_path):
    """Architectures that are the same network share scores, but are in only if they were drawn."""
    rank = Rank(config(table, tmp_path, limit=10))
    rank.store.add(Row(key, name, 0, 1.0 + i, None, 0.1) for i, key in enumerate(DIGITS) for name in ("params", "macs"))
    rank.store.close()
    found = read_stored(tmp_path, table)
    assert sorted(found.keys) == sorted(rank.keys) and len(found.keys) == 10


def test_halves(table, folder):
    found = read_stored(folder, table)
    choose, judge = found.half("choose"), found.half("judge")
    assert {half_of(key) for key in choose.keys} == {"choose"}
    assert len(choose.keys) + len(judge.keys) == 50 == len(found.keys)
    assert choose.table.names == choose.keys  # of NAS-Bench-Macro, both are the architecture
    assert [len(run) for run in choose.runs] == [len(choose.keys)] * 2


def test_errors_of_what_is_stored(table, folder, tmp_path):
    found = read_stored(folder, table)
    with pytest.raises(RankingError, match="vkdnw_agg: vkdnw_single was not measured"):
        found.scores("vkdnw_agg")
    with pytest.raises(ProxyError, match="did you mean 'jacov'"):
        found.scores("jacow")
    with pytest.raises(RankingError, match=r"scores\.sqlite is not a file of scores .*uninas rank --out DIR"):
        read_stored(tmp_path, table)
    with pytest.raises(RankingError, match="did you mean 'cifar10'"):
        read_stored(folder, table, ["cifar100"])
    other = tmp_path / "other.json"
    other.write_text(json.dumps({arch: {"test_acc": [90.0 + i]} for i, arch in enumerate(["22222222", "22222221"])}))
    with pytest.raises(RankingError, match=r"scores of 0 networks of .*other\.json"):
        read_stored(folder, other)


@pytest.mark.parametrize("scale", ["logrank", "logodds"])
def test_every_set_is_compared_by_its_mean_tau(table, folder, scale):
    half = read_stored(folder, table).half("choose")
    chooser = Chooser(half, SIGNALS, scale=scale)
    labels = half.table.column("cifar10").labels

    def expected(members):
        name = f"{scale}({', '.join(members)})"
        return np.mean([kendalltau(run, labels).statistic for run in half.scores(name)])

    sets = [found for size in (1, 2, 3) for found in itertools.combinations(SIGNALS, size)]
    for members in sets:
        assert chooser.value(members) == pytest.approx(expected(members), abs=0.02), members  # tau-a, few ties
    best = chooser.best(3)
    assert [len(found.members) for found in best] == [1, 2, 3]
    for found in best:
        same_size = [members for members in sets if len(members) == len(found.members)]
        assert found.value == pytest.approx(max(map(chooser.value, same_size)))
        assert found.value == pytest.approx(chooser.value(found.members))
    assert best[1].members == ("jacov", "zico")
    assert best[1].name == f"{scale}(jacov, zico)" and best[0].name in SIGNALS


def test_given_size_is_a_criterion(table, folder):
    half = read_stored(folder, table).half("choose")
    sizes = np.array([[row["params"], row["macs"]] for row in half.runs[0]])
    labels = Labels(half.table.column("cifar10").labels, sizes=sizes)
    expected = np.mean([metrics(labels, run).given_size for run in half.scores("logrank(jacov, zico)")])
    found = Chooser(half, SIGNALS, "given_size").value(("jacov", "zico"))
    assert found == pytest.approx(expected, abs=0.02)
    assert found != pytest.approx(Chooser(half, SIGNALS).value(("jacov", "zico")), abs=0.01)


def test_losses_point_the_other_way(table, folder):
    half = read_stored(folder, table).half("choose")
    (column,) = half.table.columns
    upside_down = type(column)("loss", "x", 100 - column.trainings, higher_is_better=False, percent=False)
    other = type(half)(type(half.table)(half.table.archs, (upside_down,)), half.keys, half.signals, half.runs)
    assert Chooser(other, SIGNALS).value(("jacov",)) == pytest.approx(Chooser(half, SIGNALS).value(("jacov",)))


def test_forms_of_members(monkeypatch):
    """Those that aggregates understand; one more is one line."""
    plain = members_of(["naswot", "depth"])
    assert plain[0] == "naswot" and "depth" not in plain
    monkeypatch.setattr(choosing_module, "FORMS", ("{}", "twice({})"))

    def with_twice(text):
        inner = text.removeprefix("logrank(twice(").removesuffix("))")
        return proxies.RankSum(text, (inner, inner)) if "twice" in text else parse(text)

    monkeypatch.setattr(proxies, "parse", with_twice)
    assert members_of(["naswot"]) == ["naswot", "twice(naswot)"]


@pytest.fixture
def study(capsys):
    """The command, in this process: exit code, output, errors."""
    module = benchmark("aggregate_study")

    def run(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            module.main(words)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_the_study_chooses_on_one_half_and_judges_on_the_other(table, folder, study):
    words = ("--table", str(table), "--scores", str(folder), "--up-to", "2", "--members", ",".join(SIGNALS))
    code, out, err = study(*words, "--json")
    assert code == 0, err
    data = json.loads(out)
    assert data["chosen"] == "logrank(jacov, zico)"
    assert data["networks"] == {
        "choosing": len(read_stored(folder, table).half("choose").keys),
        "judging": 50 - data["networks"]["choosing"],
    }
    judge = read_stored(folder, table).half("judge")
    sizes = np.array([[row["params"], row["macs"]] for row in judge.runs[0]])
    labels = Labels(judge.table.column("cifar10").labels, sizes=sizes)
    (row,) = [r for r in data["judged"] if (r["proxy"], r["column"]) == (data["chosen"], "cifar10")]
    expected = np.mean([metrics(labels, run).kendall for run in judge.scores(data["chosen"])])
    assert row["metrics"]["kendall"] == pytest.approx(expected)
    assert row["leads"]["params"]["kendall"][0] > 0
    assert "left out: vkdnw_agg: vkdnw_single" in err
    shown = study(*words)[1]
    assert "chosen logrank(jacov, zico)" in shown and "lead over params" in shown


def test_mistakes_of_the_study(table, folder, study, tmp_path):
    code, _, err = study("--table", str(table), "--scores", str(tmp_path))
    assert code == 1 and "is not a file of scores" in " ".join(err.split())
    code, _, err = study("--table", str(table), "--scores", str(folder), "--members", "jacov,snip")
    assert code == 1 and "snip: snip was not measured" in " ".join(err.split())
