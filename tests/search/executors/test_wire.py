"""What a worker is sent is what it gets."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from uninas.errors import ExecutorError
from uninas.search.executors import wire
from uninas.search.measurement import Measurement, State
from uninas.search.scoring import ProxyScorer

from .acting import Acting, task


def test_scorers_tasks_and_measurements_come_back():
    for scorer in (ProxyScorer((32, 48), 4, 5, 3), Acting(folder="folder")):
        assert wire.scorer_from_json(wire.scorer_to_json(scorer)) == scorer
    sent = task(3, "naswot", "params", exclusive=True)
    assert wire.task_from_json(wire.task_to_json(sent)) == sent
    assert "\n" not in wire.task_to_json(sent)
    found = [
        Measurement("vkdnw", 0.1 + 0.2, State.MEASURED, None, 2**62 + 1, 1 / 3),
        Measurement("naswot", None, State.OUT_OF_MEMORY, "out of memory: more\nthan that", 5, 0.0),
    ]
    assert wire.measurements_from_json(wire.measurements_to_json(found)) == found
    assert "\n" not in wire.measurements_to_json(found)


@pytest.mark.parametrize(
    "text", ["", "ready", "{}", "[1]", '[{"metric": "a"}]', "null", '[{"state": "well"}]', "[{}]", "[NaN]"]
)
def test_anything_else_is_no_answer(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        wire.measurements_from_json(text)


@dataclass(frozen=True)
class Holding:
    what: object

    def measure(self, genotype, phase, repeat, metrics):
        return []


class Plain:
    def measure(self, genotype, phase, repeat, metrics):
        return []


def test_scorers_that_cannot_be_sent():
    @dataclass(frozen=True)
    class Local(Acting):
        pass

    with pytest.raises(ExecutorError, match=r"JSON values only; .*Holding: .*float"):
        wire.scorer_to_json(Holding(float("nan")))
    with pytest.raises(ExecutorError, match=r"JSON values only; .*Holding: .*set"):
        wire.scorer_to_json(Holding({1}))
    with pytest.raises(ExecutorError, match=r"is a dataclass of JSON values, not .*:Plain"):
        wire.scorer_to_json(Plain())
    with pytest.raises(ExecutorError, match=r"cannot import .*Local; put the class at the top level"):
        wire.scorer_to_json(Local())
