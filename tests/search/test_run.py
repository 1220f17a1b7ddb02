"""Searches from settings to files: the same seed gives the same study."""

from __future__ import annotations

import json
import sqlite3

import pytest

import uninas
from uninas.errors import ProxyError, SpaceError, StudyError
from uninas.genotype import Genotype
from uninas.proxies import AGGREGATES, RankSum
from uninas.search import Space, Study, search
from uninas.search.strategies.random import RandomSearch
from uninas.search.study import FILE

from .fakes import HashScorer
from .studies import STRATEGIES, contents, essence, fail, options


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_same_seed_same_study(config, tmp_path, strategy):
    first = search(config(**options(strategy), iterations=12, out=tmp_path / "a"), scorer=HashScorer(failing=0.1))
    again = search(config(**options(strategy), iterations=12, out=tmp_path / "b"), scorer=HashScorer(failing=0.1))
    assert essence(first) == essence(again)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert first.evaluated == 12
    other = search(config(**options(strategy), iterations=12, out=tmp_path / "c", seed=1), scorer=HashScorer())
    assert other.best.key != first.best.key or other.leaders != first.leaders


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_real_scores_and_files(config, strategy):
    settings = config(**options(strategy), max_params="300K", min_params=0)
    summary = search(settings)
    best = Genotype.load(settings.out / "best.yaml")
    assert best.key == summary.best.key
    assert json.loads((settings.out / "summary.json").read_text())["best"]["key"] == best.key
    assert uninas.cost(best).params == summary.best.params <= 300_000
    assert summary.settings["versions"]["uninas"] == uninas.__version__
    assert summary.limits["max_params"] == 300_000
    study = Study.open(settings.out)
    for row in study.candidates():
        genotype = study.genotype(row.id)
        assert (genotype.key, uninas.cost(genotype).params) == (row.key, row.params)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_workers_change_nothing(config, tmp_path, strategy):
    one = search(config(**options(strategy), iterations=10, out=tmp_path / "one"), scorer=HashScorer(failing=0.1))
    two = search(
        config(**options(strategy), iterations=10, out=tmp_path / "two", workers=2), scorer=HashScorer(failing=0.1)
    )
    assert essence(one) == essence(two)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_several_starts_and_a_file_among_them(config, tmp_path, coatnet):
    path = tmp_path / "mine.yaml"
    coatnet.save(path)
    summary = search(config(start=f"resnet,{path},coatnet", iterations=3), scorer=HashScorer())
    assert summary.at_the_beginning == 2  # the file is the start coatnet
    everything = search(config(start=(), iterations=3, out=tmp_path / "all"), scorer=HashScorer())
    assert everything.at_the_beginning == 3


def test_starts_are_brought_into_the_limits(config, coatnet):
    params = uninas.cost(coatnet).params
    settings = config(max_params=round(0.8 * params), min_params=round(0.7 * params))
    summary = search(settings, scorer=HashScorer())
    assert summary.repaired == ["coatnet"]
    assert 0.7 * params <= summary.start.params <= 0.8 * params


def test_starts_that_cannot_be_scored_are_an_error(config):
    with pytest.raises(StudyError, match="no start can be scored by naswot: not finite: made up"):
        search(config(), scorer=HashScorer(failing=1.0))


def test_a_dead_end_is_not_the_end(config, tmp_path):
    """A space whose only moves are exhausted soon: the walk goes on elsewhere, and then says why it stops."""
    import yaml

    from .conftest import tiny_space

    path = tmp_path / "narrow.yaml"
    path.write_text(yaml.safe_dump(tiny_space(moves={"change_heads": 1.0}, attempts=50)))
    only = {"strides": [1, 2], "scouts": 0}
    settings = config(space=str(path), iterations=200, generation=2, strategy_settings=only)
    summary = search(settings, scorer=HashScorer())
    assert summary.stopped is not None and "nothing" in summary.stopped
    assert 2 < summary.evaluated < 200
    assert uninas.Genotype.load(tmp_path / "run" / "best.yaml").key == summary.best.key


def test_aggregates_guide_a_search(config):
    summary = search(config(proxy="uninas_agg", iterations=4))
    assert [member.metric for member in summary.members][:2] == ["params", "macs"]
    assert summary.best.score is not None and summary.best.score <= 0


@pytest.mark.parametrize("failing", ["coatnet", "resnet"])
def test_one_start_that_cannot_be_scored_ends_no_asynchronous_search(config, space, monkeypatch, failing):
    key = space.start(failing).key
    fail(monkeypatch, lambda genotype, phase, repeat: genotype.key == key)
    settings = {"strategy": "evolution", "start": "coatnet,resnet", "iterations": 6, "asynchronous": True}
    summary = search(config(**settings), scorer=HashScorer())
    assert summary.evaluated == 6 and summary.start.key != key
    state = Study.open(config().out).meta("state")
    assert summary.start.candidate in state["strategy"]["alive"]  # it was known when the population was begun


def test_starts_that_cannot_be_scored_are_an_error_in_an_asynchronous_search_too(config):
    settings = {**options("random"), "start": "coatnet,resnet", "asynchronous": True}
    for resume in (False, True):
        with pytest.raises(StudyError, match="no start can be scored by naswot: not finite: made up"):
            search(config(**settings, resume=resume), scorer=HashScorer(failing=1.0))


def test_what_is_complete_together_with_the_starts_is_told(config, monkeypatch):
    """As after a kill of an asynchronous search of an earlier version, which asked before the starts were measured."""
    told = []
    monkeypatch.setattr(RandomSearch, "tell", lambda self, view, results: told.extend(r.candidate for r in results))
    settings = {**options("random"), "iterations": 4, "asynchronous": True}
    search(config(**settings), scorer=HashScorer())
    first, told = told, []
    db = sqlite3.connect(config().out / FILE)
    with db:
        db.execute("UPDATE evaluations SET told = NULL")
    db.close()
    search(config(**settings, resume=True), scorer=HashScorer())
    assert sorted(told) == sorted(first) == [1, 2, 3, 4]


def test_settings_that_contradict_each_other(config):
    for changes, words in (
        ({"asynchronous": True}, "walk decides on whole generations"),
        ({"objectives": "naswot,-params"}, "use --strategy pareto"),
        ({"max_repeats": 1, "repeats": 2}, "max_repeats: 1 is below repeats = 2"),
        ({"strategy_settings": {"population": 3}}, "strategy_settings: population: unknown key"),
        ({"strategy": "wlak"}, "did you mean 'walk'"),
        ({"gpus_per_worker": 1}, "is for --ray"),
        ({"resume": True, "force": True}, "exclude each other"),
        ({"timeout": "soon"}, "not a time"),
    ):
        with pytest.raises(StudyError, match=words):
            config(**changes)
    with pytest.raises(ProxyError, match="did you mean 'vkdnw'"):
        config(proxy="vkdwn")
    with pytest.raises(SpaceError, match="no network can meet both"):
        config(max_params="1M", min_params="2M")


def test_unknown_starts_leave_nothing_behind(config):
    with pytest.raises(SpaceError, match="no start 'nope'"):
        search(config(start="nope"), scorer=HashScorer())
    assert not config().out.exists()


def test_a_warm_start_takes_scores_over(config, tmp_path):
    first = search(config(iterations=8, out=tmp_path / "a"), scorer=HashScorer())
    warm = search(config(iterations=4, out=tmp_path / "b", warm_start=tmp_path / "a", seed=7), scorer=HashScorer())
    assert warm.evaluated == 4
    assert warm.at_the_beginning >= 1 + first.evaluated
    rows = Study.open(tmp_path / "b").candidates()
    assert sum(row.origin is not None for row in rows if row.move != "tidy") == warm.at_the_beginning - 1
    with pytest.raises(StudyError, match="scored with proxy_size = 32"):
        search(config(iterations=4, out=tmp_path / "c", warm_start=tmp_path / "a", proxy_size=48), scorer=HashScorer())


def test_a_size_band_where_only_the_most_is_given(config, space_file):
    space = Space.load(space_file)
    assert space.size_band == 0.85
    assert config(max_params="200K").limits_in(space).min_params == 170_000
    assert config(max_params="200K", min_params=0).limits_in(space).given == {"max_params": 200_000}
    assert config(max_macs="10M").limits_in(space).min_macs == 8_500_000
    assert config(max_params="200K", max_macs="10M").limits_in(space).min_macs is None
    pareto = config(**options("pareto"), max_params="200K")
    assert pareto.limits_in(space).given == {"max_params": 200_000}


def test_what_is_counted_alone_can_be_searched(config):
    """Nothing is measured then: the smallest network, by its declared costs."""
    summary = search(config(proxy="-params", iterations=8), scorer=HashScorer())
    assert summary.best.params == min(row.params for row in Study.open(config().out).candidates())
    assert summary.best.params < summary.start.params


def test_size_and_classes_are_the_spaces_own_unless_they_are_given(config):
    space = Space.load("uninas_tiny")
    own = config(space="uninas_tiny").resolved(space)
    assert (own.input_size, own.num_classes) == (32, 10)
    assert own.limits.cost(space.start("resnet")).macs == space.limits.cost(space.start("resnet")).macs
    given = config(space="uninas_tiny", input_size=64, num_classes=7).resolved(space)
    assert (given.limits_in(space).input_size, given.limits_in(space).num_classes) == (64, 7)
    assert config(space="uninas").limits_in(Space.load("uninas")).input_size == 224


def test_the_space_says_what_guides_a_search_of_it(config):
    """`uninas_agg` where networks differ as those of NAS-Bench-201 do."""
    settings = config(proxy=None)
    assert settings.resolved(Space.load("uninas")).proxy == Space.load("uninas_tiny").proxy == "learning_agg"
    (objective,) = settings.resolved(Space.load("nasbench201")).objectives_of
    assert objective.name == Space.load("nasbench201").proxy == "uninas_agg"
    assert config(proxy="naswot").resolved(Space.load("nasbench201")).proxy == "naswot"
    with pytest.raises(StudyError, match=r"no proxy: SearchConfig.resolved takes the one of the space"):
        _ = settings.objectives_of


def test_a_study_goes_on_only_while_its_aggregate_means_the_same(config, monkeypatch):
    settings = config(proxy="vkdnw_agg", iterations=2)
    search(settings, scorer=HashScorer())
    mended = RankSum("vkdnw_agg", ("vkdnw_single", "macs"), "logodds")
    monkeypatch.setitem(AGGREGATES, "vkdnw_agg", mended)
    with pytest.raises(
        StudyError, match=r"aggregates\.vkdnw_agg.*logrank\(vkdnw_single, .*logodds\(vkdnw_single, macs"
    ):
        search(config(proxy="vkdnw_agg", iterations=2, resume=True), scorer=HashScorer())


def test_what_guides_a_search_is_kept_with_the_study_and_not_with_its_space(config, space_file, tmp_path):
    """So that a search goes on, though its space's file names another one today."""
    own = tmp_path / "own.yaml"
    own.write_text(f"extends: {space_file}\nproxy: macs\n")
    summary = search(config(space=str(own), proxy=None, iterations=2), scorer=HashScorer())
    assert summary.settings["proxy"] == "macs"
    own.write_text(f"extends: {space_file}\nproxy: params\n")
    assert essence(search(config(space=str(own), proxy="macs", iterations=2, resume=True), scorer=HashScorer())) == (
        essence(summary)
    )
