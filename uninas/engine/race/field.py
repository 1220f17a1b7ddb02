"""Who begins a race: the best of a search by score, but of several lineages.

A lineage is a network that the search began at, or drew from scratch, and all that moves made of it. The best of an
evolved population are often one network with small changes, which train alike: a race among them has nothing to choose.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from ...search.run import SUMMARY
from ...search.study import Study
from ...search.study.schema import Candidate


def beginners(study: Study, most: int, per_lineage: int) -> list[int]:
    """Numbers of the candidates that begin: the best by score, and every start that has a score and is not among them.

    In place of one that the search tidied, its tidy form begins. All starts, since the one that trains best need not be
    the one of the highest score, and what is found has to beat it.

    Args:
        most: how many, beside the starts.
        per_lineage: of one lineage; more where the study has too few lineages.
    """
    rows = list(study.rows())
    ranked = [row.candidate.id for row in study.best(study.count)]
    chosen = best_of_lineages(ranked, lineages(rows), most, per_lineage)
    state = study.meta("state") or {}
    starts = state.get("starts", 0)
    chosen += [candidate for candidate in ranked if candidate < starts]
    tidied = {int(winner): form for winner, form in state.get("tidy_forms", {}).items()} or _form_of_summary(
        study, rows
    )
    return list(dict.fromkeys(tidied.get(candidate, candidate) for candidate in chosen))


def _form_of_summary(study: Study, rows: Iterable[Candidate]) -> dict[int, int]:
    """The tidy form that is the best network of `summary.json`, by its winner.

    Studies of earlier versions hold all forms that were tried, and do not say which one was kept.
    """
    try:
        best = json.loads((study.folder / SUMMARY).read_text(encoding="utf-8"))["best"]["key"]
    except (OSError, ValueError, KeyError, TypeError):  # no summary, or a damaged one: nothing is known
        return {}
    return {row.parent: row.id for row in rows if row.move == "tidy" and row.parent is not None and row.key == best}


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
