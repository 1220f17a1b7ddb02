"""Any sequence of changes, restarts among them, gives what a few lists in memory give."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from uninas.errors import StudyError
from uninas.search.measurement import Measurement
from uninas.search.study import Evaluation, NewCandidate, Study

from .helpers import SETTINGS, candidate, evaluation, failure, network, value

PHASES, METRICS = ("search", "fresh"), ("naswot", "jacov", "zico")
NUMBERS = st.integers(0, 30)


class Model:
    """A study as plain lists."""

    def __init__(self) -> None:
        self.candidates: list[NewCandidate] = []
        self.refused: dict[int, str] = {}
        self.evaluations: list[Evaluation] = []
        self.told: list[int] = []
        self.measured: dict[tuple[int, str, int], dict[str, Measurement]] = {}
        self.state: object = None

    def admit(self, new: int, asked: list[int]) -> tuple[list[NewCandidate], list[Evaluation]]:
        first = len(self.candidates)
        rows = [candidate(first + i, (first + i) // 2 if first + i else None) for i in range(new)]
        self.candidates += rows
        found = [
            evaluation(len(self.evaluations) + i, number % len(self.candidates))
            for i, number in enumerate(asked)
            if self.candidates
        ]
        self.evaluations += found
        return rows, found

    def pending(self) -> list[Evaluation]:
        return [evaluation for evaluation in self.evaluations if evaluation.id not in self.told]


def compare(study: Study, model: Model) -> None:
    assert study.count == len(model.candidates)
    assert study.pending() == model.pending()
    assert study.meta("state") == model.state
    order = study._rows("SELECT id FROM evaluations WHERE told IS NOT NULL ORDER BY told")
    assert [row[0] for row in order] == model.told
    for row in model.candidates:
        stored = study.candidate(row.id)
        assert (stored.parent, stored.ask, stored.macs) == (row.parent, row.ask, row.macs)
        assert stored.refused == model.refused.get(row.id)
        assert study.genotype(row.id).to_dict() == row.genotype.to_dict()
        assert study.find(row.genotype.key) == row.id
    found: dict = {}
    for number, metric, phase, repeat, number_or_none, state in study.all_measurements():
        found.setdefault((number, phase, repeat), {})[metric] = (number_or_none, state)
    assert found == {
        place: {name: (m.value, m.state) for name, m in metrics.items()} for place, metrics in model.measured.items()
    }
    for place, metrics in model.measured.items():
        assert study.measured(*place) == metrics
    failed = {place[0] for place, ms in model.measured.items() if place[1] == "search" and failing(ms)}
    assert study.failed == len(failed)


def failing(measured: dict[str, Measurement]) -> bool:
    return any(m.value is None for m in measured.values())


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_study_is_what_a_few_lists_are(data):
    model = Model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = Study.create(folder, SETTINGS)
        for step in range(data.draw(st.integers(1, 15))):
            known = len(model.candidates)
            operation = data.draw(st.sampled_from(["admit", "record", "tell", "refuse", "restart", "save"]))
            if operation == "admit":
                model.state = step
                study.admit(*model.admit(data.draw(st.integers(0, 3)), data.draw(st.lists(NUMBERS, max_size=3))), step)
            elif operation == "record" and known:
                place = (data.draw(NUMBERS) % known, data.draw(st.sampled_from(PHASES)), data.draw(st.integers(0, 2)))
                metrics = data.draw(st.lists(st.sampled_from(METRICS), unique=True))
                numbers = st.floats(allow_nan=False, allow_infinity=False)
                made = [value(m, data.draw(numbers)) if data.draw(st.booleans()) else failure(m) for m in metrics]
                there = model.measured.get(place, {})
                if there.keys() & set(metrics):
                    try:
                        study.record(*place, made)
                    except StudyError:
                        continue
                    raise AssertionError("a second value for the same place")
                study.record(*place, made)
                if made:
                    model.measured[place] = {**there, **{m.metric: m for m in made}}
            elif operation == "tell":
                chosen = data.draw(st.permutations([evaluation.id for evaluation in model.pending()]))
                chosen = chosen[: data.draw(st.integers(0, 3))]
                model.told += chosen
                model.state = step
                study.tell(chosen, step)
            elif operation == "refuse" and known:
                number = data.draw(NUMBERS) % known
                if number not in model.refused:
                    study.refuse(number, f"step {step}")
                    model.refused[number] = f"step {step}"
            elif operation == "restart":
                study.close()
                study = Study.resume(folder, SETTINGS)
            elif operation == "save":
                model.state = step
                study.save(step)
        compare(study, model)
        study.close()
        with Study.resume(folder, SETTINGS) as again:
            compare(again, model)


def test_networks_differ():
    assert len({network(i).key for i in range(100)}) == 100
