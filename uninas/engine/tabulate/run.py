"""Draws the networks of a table and trains what has not been trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ... import __version__, resources
from ...errors import SpaceError, StudyError
from ...genotype import cost
from ...search.executors import Executor, Task, make_executor
from ...search.executors.attempt import is_of_circumstances
from ...search.measurement import Measurement
from ...search.scoring import Scorer
from ...search.space import Space
from .. import protocol as protocols
from ..errors import EngineError
from ..settings import Classification
from ..training_scorer import TrainingScorer
from .config import TabulateConfig
from .draw import Drawn, bands, draw
from .table import Row, TableFolder

METRICS = ("top1", "cross_entropy")
KEPT = 25
"""Networks drawn between two writes."""
PATIENCE = 100
"""Duplicates in a row after which a space counts as exhausted."""


@dataclass(frozen=True)
class Progress:
    """How far a tabulation is."""

    done: int
    total: int
    failed: int
    seconds_left: float | None


def tabulate(
    config: TabulateConfig,
    on_progress: Callable[[Progress], None] | None = None,
    scorer: Scorer | None = None,
) -> TableFolder:
    """Makes or continues the table in `config.out`; what has been trained is never trained again.

    A training that took too long or too much memory, or was lost, is tried again by the next call.

    Args:
        on_progress: called after every training.
        scorer: what trains, in place of the protocol; measures `top1` (percent) and `cross_entropy` (nats).

    Raises:
        StudyError: the folder holds a table already, or one that was made otherwise, cannot be written, or is in use.
        EngineError: the protocol is not for classification; DataError: the data do not fit it.
        SpaceError: the space has too few networks of these sizes.
    """
    plan = protocols.load(config.protocol)
    if not isinstance(plan, Classification):
        raise EngineError(f"{plan.name}: a table is made of classifications; the task of this protocol is {plan.task}")
    if scorer is None:
        from ..check import check

        check(plan, config.data_root)
    table = TableFolder(config.out)
    with table.alone():
        _begin(table, config, plan)
        networks = _drawn(config, table)
        scorer = scorer or TrainingScorer(config.protocol, str(config.data_root))
        executor = make_executor(scorer, config.workers, config.allowance, config.ray, config.gpus_per_worker)
        try:
            complete(table, list(_order(networks, config)), plan, executor, on_progress)
        finally:
            executor.close()
    return table


def complete(
    table: TableFolder,
    wanted: Sequence[tuple[Drawn, int]],
    plan: Classification,
    executor: Executor,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Trains those of `wanted` networks and seeds that have no row of this task in the table yet, and adds their rows;
    where only circumstances failed a training, the new row takes the place of the old one.

    Args:
        executor: its scorer trains by `plan`; the seed of a training is its repeat.
        on_progress: called after every training.
    """
    table.mend()
    rows = list(table.rows())
    again = {row.place for row in rows if is_of_circumstances(row.failure)}
    done = {row.place for row in rows} - again
    missing = [(drawn, seed) for drawn, seed in wanted if (drawn.genotype.key, plan.name, seed) not in done]
    start, failed = time.monotonic(), 0
    for number, (drawn, seed) in enumerate(missing):
        executor.submit(Task(number, drawn.genotype, "train", seed, METRICS))
    for count, (number, measured) in enumerate(executor.results(), start=1):
        row = _row(*missing[number], measured, plan)
        (table.replace if row.place in again else table.append)(row)
        failed += bool(row.failure)
        left = (time.monotonic() - start) / count * (len(missing) - count)
        if on_progress is not None:
            on_progress(Progress(len(done) + count, len(done) + len(missing), failed, left))


def _begin(table: TableFolder, config: TabulateConfig, plan: Classification) -> None:
    """Gives the table a recipe that has this task."""
    recipe = table.recipe
    if recipe is None:
        recipe = {"drawing": config.drawing, "space": Space.load(config.space).fingerprint(), "tasks": {}}
    elif not config.resume:
        raise StudyError(f"{config.out}: holds a table already: give --resume to continue it, or another --out")
    if recipe["drawing"] != config.drawing:
        changed = {k: (recipe["drawing"].get(k), v) for k, v in config.drawing.items() if recipe["drawing"].get(k) != v}
        lines = [f"{key}: {before!r} in the table, {now!r} now" for key, (before, now) in changed.items()]
        raise StudyError("\n".join([f"{config.out}: networks were drawn otherwise:", *lines]))
    task = plan.model_dump(mode="json")
    known = recipe["tasks"].setdefault(plan.name, {"protocol": task, "uninas": __version__, "torch": torch.__version__})
    # Read as settings, what was written before a setting existed has its default.
    if resources.parse(known["protocol"], Classification, StudyError) != plan:
        raise StudyError(f"{config.out}: {plan.name} has changed since its rows were trained; use another --out")
    table.write_recipe(recipe)


def _drawn(config: TabulateConfig, table: TableFolder) -> list[Drawn]:
    """The networks: those that the table has, and as many more as are missing."""
    networks = table.networks()
    if len(networks) < config.count:
        space = Space.load(config.space)
        if table.recipe is not None and table.recipe["space"] != space.fingerprint():
            raise StudyError(
                f"{config.out}: the space {config.space!r} has changed since its {len(networks)} networks were drawn; "
                "use another --out, or no more --count than that"
            )
        limits = bands(space, config.sizes, config.seed)
        keys = {drawn.genotype.key for drawn in networks}
        again = 0
        while len(networks) < config.count:
            found = draw(space, limits, config.seed, len(networks), again)
            if found.genotype.key not in keys:
                keys.add(found.genotype.key)
                networks.append(found)
                again = 0
                if len(networks) % KEPT == 0:
                    table.write_networks(networks)
            elif (again := again + 1) > PATIENCE:
                raise SpaceError(f"{config.space}: no more than {len(networks)} networks of these sizes were found")
        table.write_networks(networks)
    return networks[: config.count]


def _order(networks: list[Drawn], config: TabulateConfig) -> Iterator[tuple[Drawn, int]]:
    """All trainings; the repeated ones begin early, so that half a table has some too."""
    repeated = networks[: config.repeated]
    for number, drawn in enumerate(networks):
        yield drawn, 0
        if number % 3 == 2 and number // 3 < len(repeated):
            yield from ((repeated[number // 3], seed) for seed in range(1, config.seeds))
    for drawn in repeated[len(networks) // 3 :]:
        yield from ((drawn, seed) for seed in range(1, config.seeds))


def _row(drawn: Drawn, seed: int, measured: list[Measurement], plan: Classification) -> Row:
    genotype = drawn.genotype
    found = cost(genotype, plan.data.input_size, plan.data.num_classes)
    values: dict[str, Any] = {measurement.metric: measurement.value for measurement in measured}
    return Row(
        key=genotype.key,
        task=plan.name,
        seed=seed,
        accuracy=values["top1"],
        loss=values["cross_entropy"],
        params=found.params,
        macs=found.macs,
        depth=sum(len(stage.blocks) for stage in genotype.stages),
        family=drawn.family,
        how=drawn.how,
        seconds=round(sum(measurement.seconds for measurement in measured), 2),
        failure=next((measurement.reason for measurement in measured if measurement.reason), ""),
    )
