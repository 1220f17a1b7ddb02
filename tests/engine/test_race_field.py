"""Who begins a race: the best by score, of several lineages."""

from uninas.engine.race.field import best_of_lineages, lineages
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
