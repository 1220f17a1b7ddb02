"""Who begins a race: the best of a search by score, but of several lineages.

A lineage is a network that the search began at, or drew from scratch, and all that moves made of it. The best of an
evolved population are often one network with small changes, which train alike: a race among them has nothing to choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...search.study import Study
from ...search.study.schema import Candidate


def beginners(study: Study, most: int, per_lineage: int) -> list[int]:
    """Numbers of the candidates that begin: the best by score, and the best start where it is not among them.

    Args:
        most: how many, beside the start.
        per_lineage: of one lineage; more where the study has too few lineages.
    """
    rows = list(study.rows())
    ranked = [row.candidate.id for row in study.best(study.count)]
    chosen = best_of_lineages(ranked, lineages(rows), most, per_lineage)
    starts = (study.meta("state") or {}).get("starts", 0)
    chosen += [candidate for candidate in ranked if candidate < starts][:1]
    tidied = {row.parent: row.id for row in rows if row.move == "tidy"}
    return list(dict.fromkeys(tidied.get(candidate, candidate) for candidate in chosen))


def lineages(rows: Iterable[Candidate]) -> dict[int, int]:
    """For each candidate, the one without a parent that it descends from; in a crossing, by its first parent."""
    found: dict[int, int] = {}
    for row in rows:  # parents have lower numbers
        found[row.id] = row.id if row.parent is None else found[row.parent]
    return found


def best_of_lineages(ranked: list[int], lineage: dict[int, int], most: int, per_lineage: int) -> list[int]:
    """The first `most` candidates; those whose lineage has its share are passed over, and fill up what is left."""
    count: Counter[int] = Counter()
    chosen, passed_over = [], []
    for candidate in ranked:
        count[lineage[candidate]] += 1
        (chosen if count[lineage[candidate]] <= per_lineage else passed_over).append(candidate)
    return [*chosen, *passed_over][:most]
