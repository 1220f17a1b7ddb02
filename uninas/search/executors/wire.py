"""What goes to a worker and comes back, as a line of JSON: nothing else is shared with it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass

from ...errors import ExecutorError
from ...genotype import Genotype
from ..measurement import Measurement, State
from ..scoring import Scorer
from .base import Task


def scorer_to_json(scorer: Scorer) -> str:
    """`{"class": "module:Class", "settings": {...}}`.

    Raises:
        ExecutorError: the scorer is no dataclass of JSON values, or of a class that a worker cannot import.
    """
    kind = type(scorer)
    name = f"{kind.__module__}:{kind.__qualname__}"
    if not is_dataclass(scorer) or isinstance(scorer, type):
        raise ExecutorError(f"a scorer that is sent to workers is a dataclass of JSON values, not {name}")
    if kind.__module__ == "__main__" or "." in kind.__qualname__:
        raise ExecutorError(f"workers cannot import {name}; put the class at the top level of a module of its own")
    try:
        return json.dumps({"class": name, "settings": asdict(scorer)}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ExecutorError(f"a scorer that is sent to workers has JSON values only; {name}: {error}") from None


def scorer_from_json(text: str) -> Scorer:
    """The scorer again; its lists are tuples, as frozen settings have them. Raises what importing the class raises."""
    data = json.loads(text)
    module, _, name = data["class"].partition(":")
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in data["settings"].items()}
    return getattr(importlib.import_module(module), name)(**settings)


def task_to_json(task: Task) -> str:
    """All that is measured by: the genotype as a genotype file has it, phase, repeat and metrics."""
    fields = {"number": task.number, "phase": task.phase, "repeat": task.repeat, "metrics": task.metrics}
    return json.dumps({**fields, "exclusive": task.exclusive, "genotype": task.genotype.to_dict()})


def task_from_json(text: str) -> Task:
    """The task again."""
    data = json.loads(text)
    return Task(**{**data, "genotype": Genotype.from_dict(data["genotype"]), "metrics": tuple(data["metrics"])})


def measurements_to_json(measurements: Sequence[Measurement]) -> str:
    """A list of objects; floats are written so that they come back exactly."""
    return json.dumps([asdict(measurement) for measurement in measurements])


def measurements_from_json(text: str) -> list[Measurement]:
    """The measurements again. Raises ValueError, KeyError or TypeError for anything else."""
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("expected a list of measurements")
    return [Measurement(**{**data, "state": State(data["state"])}) for data in found]
