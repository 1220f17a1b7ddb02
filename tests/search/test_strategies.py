"""Strategies without a study: what they ask for, and what they make of what they are told."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from uninas.errors import SpaceError
from uninas.search.limits import Limits
from uninas.search.objective import parse_objectives
from uninas.search.space.base import Proposal
from uninas.search.state import Statistics
from uninas.search.strategies import STRATEGIES, Draft, Result, Wanted
from uninas.search.strategies.pareto import crowding_distance, front, hypervolume
from uninas.search.table import SEARCH, Table
from uninas.search.view import SearchView


class Numbers:
    """A space of whole numbers: neighbours differ by one, a crossing is the mean, a sample is any below 1,000."""

    def neighbour(self, genotype, rng, limits=None):
        return Proposal(number(int(genotype.key) + rng.choice([-1, 1])), "step")

    def sample(self, rng, limits=None):
        return number(rng.randrange(1000))

    def cross(self, mother, father, rng, limits=None):
        child = (int(mother.key) + int(father.key)) // 2
        if str(child) in (mother.key, father.key):
            raise SpaceError("neither")
        return Proposal(number(child), "cross")


def number(n: int):
    return SimpleNamespace(key=str(n))


@dataclass
class Memory:
    """What a view needs of a study."""

    rows: list = field(default_factory=list)

    def genotype(self, i):
        return self.rows[i].genotype

    def candidate(self, i):
        return self.rows[i]

    def find(self, key):
        return next((i for i, row in enumerate(self.rows) if row.genotype.key == key), None)


class Driver:
    """Runs a strategy on made-up scores: `value(n, metric, repeat)` of the number n; None fails."""

    def __init__(self, name, value, starts=(100,), objectives="naswot", repeats=1, max_repeats=4, room=4, **settings):
        self.kind, self.value, self.memory = STRATEGIES[name], value, Memory()
        parsed = parse_objectives(objectives)
        self.metrics = tuple(metric for objective in parsed for metric in objective.measured)
        self.view = SearchView(
            Numbers(), Limits(), parsed, Table(self.metrics), tuple(range(len(starts))), repeats, max_repeats,
            self.memory, Statistics(), room,
        )  # fmt: skip
        self.strategy = self.kind(self.kind.Settings(**settings), self.kind.State())
        self.asks = 0
        for start in starts:
            self.admit(Draft(number(start), "start"))
            self.measure(len(self.memory.rows) - 1, max_repeats)

    def admit(self, draft: Draft) -> int:
        row = len(self.memory.rows)
        self.memory.rows.append(SimpleNamespace(**vars(draft), id=row))
        self.view.table.add(row, int(draft.genotype.key), 1)
        return row

    def measure(self, row: int, repeats: int) -> None:
        for repeat in range(repeats):
            for metric in self.metrics:
                value = self.value(int(self.memory.rows[row].genotype.key), metric, repeat)
                self.view.table.record(row, metric, SEARCH, repeat, value)
        self.view.table.measured(row)

    def ask(self) -> list[Wanted]:
        self.view.drafted.clear()
        self.asks += 1
        return self.strategy.ask(self.view, random.Random(self.asks))

    def step(self) -> list[tuple[int, int]]:
        """Asks, measures, tells; (candidate, repeats) of what was asked for."""
        done = []
        for want in self.ask():
            row = self.admit(want.candidate) if isinstance(want.candidate, Draft) else want.candidate
            self.measure(row, want.repeats)
            done.append((row, want.repeats))
        self.strategy.tell(self.view, [Result(row, self.view.table.is_complete(row)) for row, _ in done])
        return done

    def numbers(self) -> list[int]:
        return [int(row.genotype.key) for row in self.memory.rows]


def noisy(n: int, metric: str, repeat: int) -> float:
    return -abs(n - 120) + random.Random(f"{n}{metric}{repeat}").gauss(0, 0.3)


# --- what every strategy keeps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRATEGIES)
class TestContract:
    def driver(self, name, **settings):
        small = {"population": 6} if name in ("evolution", "pareto") else {}
        return Driver(name, noisy, objectives="naswot,-jacov" if name == "pareto" else "naswot", **small, **settings)

    def test_no_network_twice_and_no_more_than_there_is_room_for(self, name):
        driver = self.driver(name)
        for _ in range(12):
            before = len(driver.memory.rows)
            driver.step()
            assert len(driver.memory.rows) - before <= 4
        assert len(set(driver.numbers())) == len(driver.memory.rows) > 12

    def test_the_state_is_all_that_is_remembered(self, name):
        """A strategy that is made anew from its state as JSON, at every step, asks for the same."""
        whole, patched = self.driver(name), self.driver(name)
        for _ in range(10):
            stored = patched.strategy.state.model_dump_json()
            patched.strategy = patched.kind(patched.strategy.settings, patched.kind.State.model_validate_json(stored))
            assert whole.step() == patched.step()
        assert whole.numbers() == patched.numbers()

    def test_global_randomness_is_left_alone(self, name):
        random.seed(1)
        np.random.seed(1)
        state, other = random.getstate(), np.random.get_state()[1].copy()
        driver = self.driver(name)
        for _ in range(5):
            driver.step()
        assert random.getstate() == state and (np.random.get_state()[1] == other).all()

    def test_dead_ends_do_not_raise(self, name):
        driver = self.driver(name)

        def nothing(*_):
            raise SpaceError("nothing there")

        driver.view.space = SimpleNamespace(neighbour=nothing, sample=nothing, cross=nothing)
        assert driver.ask() == [] and driver.view.statistics.dead_ends > 0

    def test_networks_that_fail_do_no_harm(self, name):
        driver = self.driver(name)
        driver.value = lambda n, metric, repeat: None if n % 3 == 0 else noisy(n, metric, repeat)
        for _ in range(10):
            driver.step()
        assert len(driver.memory.rows) > 10


# --- walk -------------------------------------------------------------------------------------------------------------


def walk(scores: dict[int, list], **settings) -> Driver:
    """A walk whose neighbours have the scores written; number 100 is the start."""
    names = iter([n for n in scores if n != 100])
    settings = {"scouts": 0, "max_repeats": len(scores[100]), "room": len(scores) - 1, "strides": (1,), **settings}
    driver = Driver("walk", lambda n, _, repeat: scores[n][repeat], **settings)
    driver.view.space = SimpleNamespace(neighbour=lambda *_: Proposal(number(next(names)), "step"))
    return driver


def generation(driver: Driver) -> list[list[tuple[int, int]]]:
    """Steps until the walk has decided."""
    steps = [driver.step()]
    while driver.strategy.state.contenders:
        steps.append(driver.step())
    return steps


def test_a_clear_winner_has_to_win_twice():
    driver = walk({100: [0.1, 0.12, 0.1, 0.12], 1: [0.2] * 4, 2: [0.9, 0.93, 0.9, 0.93]})
    steps = generation(driver)
    assert driver.strategy.state.current == 2 and driver.strategy.state.trail == [2]
    assert steps[1][0] == (2, 2) and len(steps) == 2


def test_clear_losers_are_not_scored_again():
    driver = walk({100: [0.5, 0.52, 0.5, 0.52], 1: [0.1] * 4, 2: [0.2] * 4})
    assert len(generation(driver)) == 1
    assert driver.strategy.state.current == 0 and driver.strategy.state.stuck == 1


def test_the_next_best_is_scored_again_beside_the_best():
    driver = walk({100: [0.5] * 4, 1: [0.57, 0.4, 0.4, 0.4], 2: [0.56] * 4, 3: [0.55] * 4, 4: [0.1] * 4})
    steps = generation(driver)
    assert steps[1][:2] == [(1, 2), (2, 2)] and driver.strategy.state.current == 2
    assert driver.view.table.repeats(3) == driver.view.table.repeats(4) == 1


def test_a_hopeless_next_best_is_left_alone():
    driver = walk({100: [0.5, 0.52, 0.5, 0.52], 1: [0.51, 0.53, 0.51, 0.53], 2: [0.1] * 4})
    generation(driver)
    assert driver.view.table.repeats(1) > 1 and driver.view.table.repeats(2) == 1


def test_a_lucky_score_is_looked_at_again_and_the_next_one_gets_its_chance():
    driver = walk({100: [0.5, 0.6, 0.5, 0.6], 1: [0.57, 0.4, 0.4, 0.4], 2: [0.56, 0.66, 0.57, 0.67]})
    generation(driver)
    assert driver.strategy.state.current == 2 and driver.view.table.repeats(1) > 1


def test_what_all_repeats_share_does_not_count():
    swing = [0.2, 0.8, 0.4, 0.6]
    driver = walk({100: swing, 1: [v + 0.01 for v in swing]}, acceptance="significant")
    driver.view.statistics.paired = (1e-6, 10.0)
    generation(driver)
    assert driver.strategy.state.current == 1


def test_repeats_end_at_the_maximum():
    driver = walk({100: [0.5, 0.6] * 3, 1: [0.551] * 6})
    generation(driver)
    assert driver.view.table.repeats(1) == 6 and driver.strategy.state.current == 1


@pytest.mark.parametrize(("acceptance", "place"), [("significant", 0), ("better", 1)])
def test_significant_needs_more_than_the_error(acceptance, place):
    driver = walk({100: [0.5, 0.6, 0.5, 0.6], 1: [0.56] * 4}, acceptance=acceptance)
    generation(driver)
    assert driver.strategy.state.current == place


def test_always_moves():
    driver = walk({100: [0.5, 0.6, 0.5, 0.6], 1: [0.1] * 4}, acceptance="always")
    generation(driver)
    assert driver.strategy.state.current == 1


def test_failures_never_win():
    driver = walk({100: [0.1, 0.2, 0.1, 0.2], 1: [None] * 4, 2: [0.16, None, None, None]})
    generation(driver)
    assert driver.strategy.state.current == 0


def test_a_walk_climbs_and_goes_back_where_it_is_stuck():
    driver = Driver(
        "walk", lambda n, *_: -abs(n - 105) if n > 60 else None, room=2, max_repeats=2, patience=2, scouts=0
    )
    for _ in range(60):
        driver.step()
    assert 105 in driver.numbers()
    assert driver.strategy.state.left  # the top has no better neighbour


def test_a_walk_begins_at_the_best_start():
    driver = Driver("walk", noisy, starts=(10, 119, 300), scouts=0)
    driver.ask()
    assert driver.strategy.state.current == 1


def test_a_walk_begins_at_the_best_of_its_scouts_too():
    driver = Driver("walk", noisy, starts=(2000,), scouts=6)
    assert [len(driver.step()) for _ in range(2)] == [4, 2]
    driver.ask()
    assert driver.strategy.state.current == int(driver.view.scores().argmax()) > 0


# --- evolution --------------------------------------------------------------------------------------------------------


def test_aging_lets_the_oldest_die():
    driver = Driver("evolution", noisy, population=5, tournament=2, scratch=1.0)
    for _ in range(6):
        driver.step()
    alive = driver.strategy.state.alive
    assert len(alive) == 5 and alive == sorted(alive) and alive[-1] == len(driver.memory.rows) - 1


def test_evolution_gets_better():
    driver = Driver("evolution", noisy, starts=(500,), population=8, tournament=4, strides=(1, 2, 4), scratch=1.0)
    for _ in range(20):
        driver.step()
    first, last = driver.numbers()[1:9], driver.numbers()[-40:]
    assert np.median([abs(n - 120) for n in last]) < 0.5 * np.median([abs(n - 120) for n in first])


def test_the_published_recipe_draws_parents_from_the_best_of_all():
    driver = Driver("evolution", lambda n, *_: float(n), recipe="published", population=5)
    for _ in range(4):
        driver.step()
    scores = driver.view.scores()
    best = set(np.argsort(-scores, kind="stable")[:4].tolist())
    parents = {want.candidate.parent for want in driver.ask()}
    assert parents <= best
    settings = STRATEGIES["evolution"].Settings(recipe="published")
    assert (settings.population, settings.crossover, settings.tournament) == (1024, 0.0, 1)


# --- pareto -----------------------------------------------------------------------------------------------------------


def beats(a, b) -> bool:
    return all(x >= y for x, y in zip(a, b)) and any(x > y for x, y in zip(a, b))


def test_the_front_is_what_nothing_beats():
    points = np.random.default_rng(0).integers(0, 6, (40, 3)).astype(float)
    members = front(points)
    for i, point in enumerate(points):
        beaten = any(beats(other, point) for other in points)
        assert members[i] == (not beaten and not any((points[:i] == point).all(1)))


def test_survivors_are_the_first_fronts():
    driver = Driver("pareto", noisy, objectives="naswot,-params", starts=range(80, 140, 3), population=7)
    driver.ask()
    alive = driver.strategy.state.alive
    points = {i: (driver.view.score(i), -driver.numbers()[i]) for i in range(20)}
    unbeaten = {i for i in points if not any(beats(other, points[i]) for other in points.values())}
    assert len(alive) == 7
    assert unbeaten <= set(alive) or set(alive) <= unbeaten


def test_crowding_is_infinite_at_the_ends_and_larger_where_it_is_lonely():
    points = np.array([[0.0, 4.0], [1.0, 3.0], [1.5, 2.9], [4.0, 0.0]])
    distance = crowding_distance(points)
    assert math.isinf(distance[0]) and math.isinf(distance[3]) and distance[2] > distance[1]


def test_hypervolume_of_two_boxes():
    assert hypervolume(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([0.0, 0.0])) == pytest.approx(4.0)
