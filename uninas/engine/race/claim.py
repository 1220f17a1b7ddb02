"""What the results in a study are bound to: one form of a protocol, the data, and the seed. A race that would take for
its own what was made otherwise is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import resources
from ...errors import StudyError
from ...search.executors.attempt import is_of_circumstances
from ...search.scoring import Scorer
from ...search.study import MeasurementRow, Study
from ..settings import Classification, Detection, Segmentation
from .config import RaceConfig

PHASE = "race"
FORMS, ROOTS = "race_protocols", "race_data"
"""In a study: settings, and folder of the data, by the name of each protocol that it was raced by."""
ANOTHER_NAME = "give the protocol another name"
"""Results of protocols are told apart by their names alone."""


def claim(
    study: Study,
    config: RaceConfig,
    plan: Classification | Detection | Segmentation,
    measures: str,
    scorer: Scorer,
) -> list[MeasurementRow]:
    """Notes in a study how its results of a protocol are made; gives those that circumstances failed, to be done again.

    Args:
        measures: the metric of the protocol.
        scorer: its `seed_of` has the seed of a training; without one, seeds are not compared.

    Raises:
        StudyError: there are results that were made otherwise.
    """
    rows = [row for row in study.scores(PHASE) if row.metric.partition("@")[2].startswith(f"{plan.name}:")]
    failed = [row for row in rows if is_of_circumstances(row.reason)]
    kept = [row for row in rows if not is_of_circumstances(row.reason)]
    forms, roots = ({**(study.meta(name) or {})} for name in (FORMS, ROOTS))
    root = config.data_root.resolve()
    if kept:
        _compare_forms(study.folder, forms.get(plan.name), plan)
        _compare_data(study.folder, roots.get(plan.name), root)
        metrics = {f"{measures}@{plan.name}:{epochs}" for epochs in config.rungs}
        _compare_seeds(study.folder, [row for row in kept if row.metric in metrics], config, scorer)
    forms[plan.name], roots[plan.name] = plan.model_dump(mode="json"), str(root)
    study.set_meta({FORMS: forms, ROOTS: roots})
    return failed


def _compare_forms(folder: Path, before: Any, plan: Classification | Detection | Segmentation) -> None:
    try:  # read as settings, what was written before a setting existed has its default
        same = before is None or resources.parse(before, type(plan), StudyError) == plan
    except StudyError:  # of another task, or with settings that are no more
        same = False
    if not same:
        raise StudyError(f"{folder}: was raced by another form of {plan.name}; {ANOTHER_NAME}")


def _compare_data(folder: Path, before: str | None, root: Path) -> None:
    """Where the earlier folder is no more, the data have moved."""
    if before is not None and Path(before) != root and Path(before).exists():
        raise StudyError(
            f"{folder}: was raced on the data in {before}, not {root}: give that folder, or {ANOTHER_NAME}"
        )


def _compare_seeds(folder: Path, rows: list[MeasurementRow], config: RaceConfig, scorer: Scorer) -> None:
    seed_of = getattr(scorer, "seed_of", None)
    for row in rows:
        if seed_of is not None and row.seed != seed_of(PHASE, row.repeat):
            seed = row.seed - row.repeat
            what = f"its results of {row.metric} are of seed {seed}, not {config.seed}"
            raise StudyError(f"{folder}: {what}: give --seed {seed}, or {ANOTHER_NAME}")
