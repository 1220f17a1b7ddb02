"""Who begins a race: the best by score, of several lineages."""

import json
from dataclasses import replace

import pytest

import uninas
from uninas.engine.race.field import beginners, best_of_lineages, lineages
from uninas.search.measurement import Measurement, State
from uninas.search.study import NewCandidate, Study
from uninas.search.study.schema import Candidate


def family(*parents: int | None) -> list[Candidate]:
    """Candidates by their parents."""
    return [Candidate(i, f"{i}", parent, None, None, 0, 0, 0, None, None) for i, parent in enumerate(parents)]


def test_a_lineage_is_what_moves_made_of_one_network():
    assert lineages(family(None, 0, 1, None, 3, 2)) == {0: 0, 1: 0, 2: 0, 3: 3, 4: 3, 5: 0}


def test_the_best_are_of_several_lineages():
    lineage = dict.fromkeys(range(6), 0) | {6: 6, 7: 7}
    assert best_of_lineages([5, 4, 3, 2, 7, 1, 6, 0], lineage, 5, 2) == [5, 4, 7, 6, 3]
    assert best_of_lineages([5, 4, 3, 2, 7, 1, 6, 0], lineage, 3, 2) == [5, 4, 7]


def test_where_lineages_are_few_their_next_ones_fill_up():
    assert best_of_lineages([3, 2, 1, 0], dict.fromkeys(range(4), 0), 3, 1) == [3, 2, 1]


@pytest.fixture
def study(tmp_path):
    """A start, a winner, and the two tidy forms of it that were tried."""
    plain = uninas.blocks.network("resnet", widths=(8, 8, 8, 8), depths=(1, 1, 1, 1), input_size=32)
    networks = [replace(plain, head=replace(plain.head, width=width)) for width in (None, 8, 16, 24)]
    moves = [(None, None), (0, "add"), (1, "tidy"), (1, "tidy")]
    rows = [NewCandidate(i, networks[i], parent, None, move, 0, 1, 1) for i, (parent, move) in enumerate(moves)]
    scores = [(i, "search", 0, [Measurement("naswot", float(i), State.MEASURED, None, 0, 0.0)]) for i in range(2)]
    with Study.create(tmp_path, {"proxy": "naswot"}) as study:
        study.admit(rows, [], {"starts": 1}, scores)
        yield study


@pytest.mark.parametrize(("forms", "begin"), [({"1": 2}, [2, 0]), ({"1": 3}, [3, 0])])
def test_the_tidy_form_that_was_kept_begins(study, forms, begin):
    study.save({"starts": 1, "tidy_forms": forms})
    assert beginners(study, 2, 2) == begin


def test_a_study_that_does_not_say_which_form_was_kept_has_that_of_its_summary(study):
    summary = study.folder / "summary.json"
    for best, begin in ((2, [2, 0]), (3, [3, 0]), (1, [1, 0])):
        summary.write_text(json.dumps({"best": {"key": study.candidate(best).key}}))
        assert beginners(study, 2, 2) == begin
    for damaged in ("", "[]", "{}", '{"best": null}'):
        summary.write_text(damaged)
        assert beginners(study, 2, 2) == [1, 0]
    summary.unlink()
    assert beginners(study, 2, 2) == [1, 0]


def test_every_start_that_has_a_score_begins(study):
    study.save({"starts": 3})
    assert beginners(study, 1, 1) == [1, 0]
    assert [row.candidate.id for row in study.best(4)] == [1, 0]  # the third has none
