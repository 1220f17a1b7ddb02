"""Who goes on, and who is trained again: arithmetic on results."""

import math

import pytest

from uninas.engine.race.config import RaceConfig
from uninas.engine.race.halving import deviation, mean, ranking, undecided
from uninas.errors import StudyError


def config(**changes) -> RaceConfig:
    return RaceConfig.parse({"studies": ["a"], "protocol": "p", "data_root": "d", **changes})


def results(*values):
    """Results by runner, in order."""
    return {(0, i): list(value) if isinstance(value, tuple) else [value] for i, value in enumerate(values)}


def test_the_mean_of_what_failed_is_below_everything():
    assert mean([80.0, 82.0]) == 81.0
    assert mean([80.0, None]) == mean([]) == -math.inf
    assert ranking(results(None, 70.0, 90.0)) == [(0, 2), (0, 1), (0, 0)]


@pytest.mark.parametrize(
    ("rungs", "rung", "runners", "expected"),
    [
        ((1, 3, 9), 0, 16, 6),
        ((1, 3, 9), 1, 6, 2),
        ((1, 3, 9), 2, 2, 1),
        ((5,), 0, 7, 1),
        ((1, 30), 0, 8, 2),
        ((4, 5), 0, 3, 3),
    ],
)
def test_how_many_go_on(rungs, rung, runners, expected):
    assert config(rungs=rungs).survivors(rung, runners) == expected


def test_those_near_the_line_are_trained_again():
    near = undecided(results(90.0, 80.2, 80.0, 70.0), keep=2, repeats=3, prior=0.5)
    assert near == [(0, 1), (0, 2)]
    assert undecided(results(90.0, 80.0, 70.0), keep=2, repeats=3, prior=0.5) == []


def test_repeats_end():
    close = results((80.0, 80.1), (80.0, 80.2))
    assert undecided(close, keep=1, repeats=2, prior=0.5) == []
    assert undecided(close, keep=1, repeats=3, prior=0.5) == [(0, 1), (0, 0)]


def test_whoever_failed_is_decided():
    assert undecided(results(80.0, None), keep=1, repeats=3, prior=0.5) == []


def test_where_all_go_on_nothing_is_close():
    assert undecided(results(80.0, 80.0), keep=2, repeats=3, prior=0.5) == []


def test_the_deviation_is_pooled_with_what_is_usual():
    assert deviation(results(80.0, 70.0), prior=0.5) == pytest.approx(0.5)
    assert deviation(results((80.0, 82.0)), prior=0.5) == pytest.approx(math.sqrt((0.5 + 2.0) / 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rungs": "3,1"}, "every round is longer"),
        ({"rungs": "1,x"}, r"rungs\[1\]"),
        ({"rungs": "0,1"}, r"rungs\[0\]"),
        ({"top": 1}, "top"),
        ({"studies": ["a", "./a"]}, "named twice"),
        ({"gpus_per_worker": 1}, "--ray"),
        ({"rung": 1}, "unknown key"),
    ],
)
def test_settings_that_make_no_race(changes, message):
    with pytest.raises(StudyError, match=message):
        config(**changes)
