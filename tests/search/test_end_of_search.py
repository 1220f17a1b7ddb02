"""How a search ends: fresh scores, tidying, and the files that stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uninas.genotype import Genotype
from uninas.search import Study, search
from uninas.search.tidy import Removal

from .fakes import HashScorer
from .studies import essence, fail, options


def test_a_failure_at_the_end_changes_nothing_of_the_search(config, monkeypatch):
    """What fails on fresh seeds was, and stays, scored in the search."""
    fail(monkeypatch, lambda genotype, phase, repeat: phase == "leaders" and repeat == 1)
    summary = search(config(iterations=9), scorer=HashScorer())
    assert summary.failed == 0
    assert summary.best.search_score is not None
    assert all(leader.score is None for leader in summary.leaders)


def test_a_start_without_a_fresh_score_leaves_the_gain_unknown(config, coatnet, monkeypatch):
    def of_the_start(genotype, phase, repeat):
        return phase == "fresh" and repeat == 1 and genotype.key == coatnet.key

    fail(monkeypatch, of_the_start)
    summary = search(config(iterations=9, tidy=True), scorer=HashScorer())
    assert summary.best.key != summary.start.key
    assert summary.best.score is not None and summary.start.score is None
    assert (summary.gain, summary.gain_se) == (None, None)
    assert [member.lead for member in summary.members] == [None]
    assert essence(search(config(iterations=9, tidy=True, resume=True), scorer=HashScorer())) == essence(summary)


def test_a_winner_without_a_fresh_score_is_not_tidied(config, monkeypatch):
    """The start cannot win in its place: it is beyond the limit."""
    fail(monkeypatch, lambda genotype, phase, repeat: phase == "fresh" and repeat == 1)
    settings = config(max_latency="10ms@1x32", iterations=9, tidy=True)
    summary = search(settings, scorer=HashScorer())
    assert Study.open(settings.out).candidate(summary.start.candidate).refused
    assert summary.best.key != summary.start.key and summary.best.score is None
    assert summary.gain is None and not summary.tidied


def test_what_is_cheap_to_know_is_known_where_a_score_failed(config, coatnet, monkeypatch):
    """Costs are exact in every repeat, whatever failed in it."""
    fail(monkeypatch, lambda genotype, phase, repeat: phase == "fresh" and repeat == 1 and genotype.key == coatnet.key)
    two = {"strategy": "pareto", "strategy_settings": {"population": 4}, "objectives": "-params,naswot"}
    summary = search(config(**two, iterations=9, fresh_repeats=3), scorer=HashScorer())
    assert summary.gain == summary.start.params - summary.best.params > 0


def test_the_winner_is_tidied_where_its_score_allows(config, coatnet):
    """A start with a dropout in it: whatever is found goes without."""
    from uninas.genotype import GraphBuilder

    b = GraphBuilder()
    where, _ = next(iter(coatnet.subblocks))
    littered = coatnet.with_graph(where, b.build(b.chain(b.input, ("conv", {"kernel": 3}), ("dropout", {"p": 0.5}))))
    path = config().out.parent / "littered.yaml"
    littered.save(path)
    summary = search(config(start=str(path), tidy=True, iterations=8, strategy_settings={"strides": [1], "scouts": 0}))
    assert summary.best.key != summary.start.key
    best = Genotype.load(config().out / "best.yaml")
    ops = {op.name for _, sub in best.subblocks for op in sub.graph.ops.values()}
    assert "dropout" not in ops
    assert summary.best.move == "tidy" or not summary.tidied
    again = search(
        config(start=str(path), tidy=True, iterations=8, strategy_settings={"strides": [1], "scouts": 0}, resume=True)
    )
    assert essence(again) == essence(summary)


def test_the_folder_of_the_front_holds_the_front_alone(config):
    """Also after a search went on, and without touching what is not a search's."""
    folder = config().out / "front"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("mine")
    fronts = []
    for changes in ({"iterations": 6}, {"iterations": 20, "resume": True}, {"iterations": 6, "seed": 1, "force": True}):
        summary = search(config(**options("pareto"), **changes), scorer=HashScorer())
        fronts.append({found.key for found in summary.front})
        assert {path.stem for path in folder.glob("*.yaml")} == {"mine", *(key[:12] for key in fronts[-1])}
    assert fronts[0] - fronts[1]  # some were beaten


@pytest.fixture
def tidying(monkeypatch):
    """In place of tidying, two winners with another head are tried and the first is kept, whose key this gives."""
    kept = []

    def instead(genotype, *, keeps, size):
        narrower, refused = (replace(genotype, head=replace(genotype.head, width=width)) for width in (16, 24))
        keeps(narrower)
        keeps(refused)  # the last one that was tried
        kept[:] = [narrower.key]
        return narrower, [Removal("head", "width", 1, 1, 0.0)]

    monkeypatch.setattr("uninas.search.final_evaluation.tidy", instead)
    return kept


def test_the_study_says_which_tidy_form_was_kept(config, tidying):
    summary = search(config(iterations=9, tidy=True), scorer=HashScorer())
    assert [summary.best.key] == tidying
    study = Study.open(config().out)
    tidied = [row for row in study.candidates() if row.move == "tidy"]
    assert [row.key == summary.best.key for row in tidied] == [True, False]
    assert study.meta("state")["tidy_forms"] == {str(tidied[0].parent): summary.best.candidate}
    assert essence(search(config(iterations=9, tidy=True, resume=True), scorer=HashScorer())) == essence(summary)


@pytest.mark.parametrize("seconds", [0.001, 1.0])
def test_a_tidy_form_meets_the_limits_on_latency(config, tidying, monkeypatch, seconds):
    measure = HashScorer.measure

    def timed(self, genotype, phase, repeat, metrics):
        found = measure(self, genotype, phase, repeat, metrics)
        tidy = phase == "latency" and genotype.head.width is not None
        return [replace(m, value=seconds) for m in found] if tidy else found

    monkeypatch.setattr(HashScorer, "measure", timed)
    summary = search(config(iterations=9, tidy=True, max_latency="10ms@1x32"), scorer=HashScorer())
    assert ([summary.best.key] == tidying) == bool(summary.tidied) == (seconds < 0.01)
    assert summary.best.latency["latency@1x32"] <= 0.01
    assert bool(Study.open(config().out).meta("state")["tidy_forms"]) == (seconds < 0.01)
