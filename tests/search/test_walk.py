"""Decisions of the walk and of the end of a search, on scores that are made up."""

from __future__ import annotations

import random
from dataclasses import asdict

import pytest

import uninas
from uninas.errors import StudyError
from uninas.search import Limits
from uninas.search.config import SearchConfig
from uninas.search.explore import START, Search, State
from uninas.search.finish import finish
from uninas.search.schema import Candidate
from uninas.search.scoring import Score
from uninas.search.strategies import RandomWalks, Walk
from uninas.search.study import Study


class Scripted:
    """An executor that gives each candidate the scores that are written for its phase, by repeat."""

    def __init__(self, scores: dict[str, dict[str, list[float | None]]]) -> None:
        self.scores = scores
        self.asked: list[tuple[str, str, int]] = []

    def run(self, tasks):
        for index, task in enumerate(tasks):
            self.asked.append((task.genotype.key, task.phase, task.repeat))
            value = self.scores[task.genotype.key][task.phase.split()[0]][task.repeat]
            yield index, Score(0, value, None if value is not None else "not finite: made up", 0.0)

    def close(self):
        pass


@pytest.fixture
def stage(space, coatnet, tmp_path):
    """Makes a search whose first generation has the given scores; "start" is the start."""
    made = []

    def make(search_scores, leaders=None, fresh=None, **settings):
        rng, genotypes = random.Random(0), {"start": coatnet}
        while len(genotypes) < len(search_scores):
            child = space.mutate(coatnet, rng)
            if child not in genotypes.values():
                genotypes[f"child{len(genotypes)}"] = child
        keys = {name: genotype.key for name, genotype in genotypes.items()}
        scores = {
            keys[name]: {"search": values, "leaders": (leaders or {}).get(name), "fresh": (fresh or {}).get(name)}
            for name, values in search_scores.items()
        }
        config = SearchConfig(
            out=tmp_path / "run", iterations=len(genotypes) - 1, generation=len(genotypes) - 1, **settings
        )
        study = Study.create(config.out, {})
        made.append(study)
        state = State(random=list(rng.getstate()), proposed=True)
        candidates = [
            Candidate(i, genotype, None if i == START else START, None, min(i, 1), 1000 - i, 1)
            for i, genotype in enumerate(genotypes.values())
        ]
        study.save(asdict(state), candidates)
        return Search(config, space, Limits(), study, Scripted(scores), state, lambda _: None)

    yield make
    for study in made:
        study.close()


def repeats(search: Search, number: int) -> int:
    """Scores of a candidate in the first generation."""
    return len(search.study.values(number, "search 1"))


def test_a_clear_winner_has_to_win_twice(stage):
    search = stage({"start": [0.1, 0.12, 0.1, 0.12], "child1": [0.2] * 4, "child2": [0.9, 0.93, 0.9, 0.93]})
    search.explore(Walk())
    assert search.state.current == 2 and search.state.trail == [2]
    assert [repeats(search, n) for n in range(3)] == [2, 1, 2]


def test_clear_losers_are_not_scored_again(stage):
    search = stage({"start": [0.5, 0.52, 0.5, 0.52], "child1": [0.1] * 4, "child2": [0.2] * 4})
    search.explore(Walk())
    assert search.state.current == START and search.state.accepted == 0
    assert [repeats(search, n) for n in range(3)] == [1, 1, 1]


def test_a_lucky_score_is_looked_at_again_and_the_next_one_gets_its_chance(stage):
    search = stage(
        {"start": [0.5, 0.6, 0.5, 0.6], "child1": [0.57, 0.4, 0.4, 0.4], "child2": [0.56, 0.66, 0.57, 0.67]},
    )
    search.explore(Walk())
    assert search.state.current == 2
    assert repeats(search, 1) > 1


def test_what_all_repeats_share_does_not_count(stage):
    """Scores that swing together: a small lead on every repeat is a lead."""
    swing = [0.2, 0.8, 0.4, 0.6]
    search = stage({"start": swing, "child1": [value + 0.01 for value in swing]}, acceptance="significant")
    search.state.paired = [1e-6, 10.0]
    search.explore(Walk())
    assert search.state.current == 1


def test_repeats_end_at_the_maximum(stage):
    search = stage({"start": [0.5, 0.6] * 3, "child1": [0.551] * 6}, max_repeats=6)
    search.explore(Walk())
    assert repeats(search, 1) == 6
    assert search.state.current == 1


def test_significant_needs_more_than_the_error(stage):
    scores = {"start": [0.5, 0.6, 0.5, 0.6], "child1": [0.56] * 4}
    search = stage(scores, acceptance="significant")
    search.explore(Walk())
    assert search.state.current == START


def test_always_moves(stage):
    search = stage({"start": [0.5, 0.6, 0.5, 0.6], "child1": [0.1] * 4}, acceptance="always")
    search.explore(Walk())
    assert search.state.current == 1


def test_failures_are_kept_by_name_and_never_win(stage):
    search = stage({"start": [0.1, 0.2, 0.1, 0.2], "child1": [None], "child2": [0.16, None]})
    search.explore(Walk())
    assert search.state.current == START
    assert search.study.count("failed") == 2
    assert search.study.failure(1) == search.study.failure(2) == "not finite: made up"
    assert search.study.values(1, "search 1") == [None]
    assert Walk().leaders(search) == []


def test_a_start_that_cannot_be_scored_is_an_error(stage):
    search = stage({"start": [None, None, None, None], "child1": [0.1]})
    with pytest.raises(StudyError, match="the start cannot be scored by vkdnw: not finite"):
        search.explore(Walk())


def test_leaders_compete_on_new_seeds_and_the_winner_is_measured_on_newer_ones(stage):
    search = stage(
        {"start": [0.5, 0.52, 0.5, 0.52], "child1": [0.9] * 4, "child2": [0.8] * 4},
        leaders={"start": [0.5, 0.52], "child1": [0.6, 0.62], "child2": [0.7, 0.74]},
        fresh={"start": [0.5, 0.54], "child2": [0.66, 0.68]},
        fresh_repeats=2,
        leader_repeats=2,
    )
    search.explore(RandomWalks())
    best, summary = finish(search, RandomWalks())
    assert best.key == summary.best.key == search.study.candidate(2).genotype.key
    assert summary.best.score == pytest.approx(0.67) and summary.best.score_se == pytest.approx(0.01)
    assert summary.best.search_score == pytest.approx(0.8)
    assert summary.start.score == pytest.approx(0.52)
    assert summary.gain == pytest.approx(0.15) and summary.gain_se > 0
    assert [found.score for found in summary.leaders] == pytest.approx([0.72, 0.61, 0.51])
    assert summary.leaders[0].parent == summary.start.key


def test_a_winner_that_does_not_hold_up_is_not_the_best(stage):
    search = stage(
        {"start": [0.5, 0.52, 0.5, 0.52], "child1": [0.9] * 4},
        leaders={"start": [0.5, 0.52], "child1": [0.6, 0.62]},
        fresh={"start": [0.5, 0.54], "child1": [0.5, 0.5]},
        fresh_repeats=2,
        leader_repeats=2,
    )
    search.explore(RandomWalks())
    best, summary = finish(search, RandomWalks())
    assert best.key == summary.best.key == summary.start.key
    assert summary.gain == 0


def test_a_failed_leader_is_not_the_best(stage):
    search = stage(
        {"start": [0.5, 0.52, 0.5, 0.52], "child1": [0.9] * 4},
        leaders={"start": [0.5, 0.54], "child1": [0.9, None]},
        fresh={"start": [0.5, 0.54]},
        fresh_repeats=2,
        leader_repeats=2,
    )
    search.explore(RandomWalks())
    best, summary = finish(search, RandomWalks())
    assert best.key == summary.start.key
    assert summary.leaders[1].score is None and summary.leaders[1].score_se is None


def test_an_exhausted_neighbourhood_ends_the_search(space, coatnet, tmp_path, config):
    from uninas.search import Space, search

    from .conftest import tiny_space

    path = tmp_path / "narrow.yaml"
    import yaml

    path.write_text(yaml.safe_dump(tiny_space(moves={"change_heads": 1.0}, attempts=50)))
    summary = search(config(space=str(path), iterations=50))
    assert summary.stopped is not None
    assert summary.evaluated < 50
    assert Space.load(path).name == "tiny"
    assert uninas.Genotype.load(tmp_path / "run" / "best.yaml").key == summary.best.key
