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
from uninas.search.finish import finish, leading
from uninas.search.schema import Candidate
from uninas.search.scoring import Score
from uninas.search.strategies import Walk
from uninas.search.study import Study


class Scripted:
    """An executor that gives each candidate the scores that are written for its phase, by repeat."""

    def __init__(self, scores: dict[str, dict[str, list[float | None]]]) -> None:
        self.scores = scores
        self.asked: list[tuple[str, str, int]] = []

    def run(self, tasks):
        for index, task in enumerate(tasks):
            self.asked.append((task.genotype.key, task.phase, task.repeat))
            value = self.scores[task.genotype.key][task.phase][task.repeat]
            yield index, Score(0, value, None if value is not None else "not finite: made up", 0.0)

    def close(self):
        pass


@pytest.fixture
def stage(space, coatnet, tmp_path):
    """Makes a search whose first generation has the given scores; "start" is the start."""
    made = []

    def make(search_scores, fresh=None, **settings):
        rng, genotypes = random.Random(0), {"start": coatnet}
        while len(genotypes) < len(search_scores):
            child = space.mutate(coatnet, rng)
            if child not in genotypes.values():
                genotypes[f"child{len(genotypes)}"] = child
        keys = {name: genotype.key for name, genotype in genotypes.items()}
        scores = {
            keys[name]: {"search": values, "fresh": (fresh or {}).get(name, [])}
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


def test_a_clear_winner_is_taken_without_further_scores(stage):
    search = stage({"start": [0.1, 0.12, 0.1, 0.12], "child1": [0.2] * 4, "child2": [0.9] * 4})
    search.explore(Walk())
    assert search.state.current == 2
    assert [len(search.study.values(n, "search")) for n in range(3)] == [4, 1, 1]


def test_clear_losers_are_not_scored_again(stage):
    search = stage({"start": [0.5, 0.52, 0.5, 0.52], "child1": [0.1] * 4, "child2": [0.2] * 4})
    search.explore(Walk())
    assert search.state.current == START and search.state.accepted == 0
    assert [len(search.study.values(n, "search")) for n in range(3)] == [4, 1, 1]


def test_a_lucky_score_is_looked_at_again_and_the_next_one_gets_its_chance(stage):
    search = stage(
        {"start": [0.5, 0.6, 0.5, 0.6], "child1": [0.57, 0.4, 0.4, 0.4], "child2": [0.56, 0.62, 0.6, 0.6]},
    )
    search.explore(Walk())
    assert search.state.current == 2
    assert len(search.study.values(1, "search")) > 1


def test_repeats_end_at_the_maximum(stage):
    search = stage({"start": [0.5, 0.6] * 3, "child1": [0.551] * 6}, max_repeats=6)
    search.explore(Walk())
    assert len(search.study.values(1, "search")) == 6
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
    assert search.study.values(1, "search") == [None]
    assert leading(search) == [START]


def test_a_start_that_cannot_be_scored_is_an_error(stage):
    search = stage({"start": [None, None, None, None], "child1": [0.1]})
    with pytest.raises(StudyError, match="the start cannot be scored by vkdnw: not finite"):
        search.explore(Walk())


def test_the_best_is_the_best_on_fresh_seeds_not_the_luckiest(stage):
    search = stage(
        {"start": [0.5, 0.52, 0.5, 0.52], "child1": [0.9] * 4, "child2": [0.8] * 4},
        fresh={"start": [0.5, 0.54], "child1": [0.6, 0.62], "child2": [0.7, 0.74]},
        fresh_repeats=2,
    )
    search.explore(Walk())
    assert search.state.current == 1
    best, summary = finish(search)
    assert best.key == summary.best.key == search.study.candidate(2).genotype.key
    assert summary.best.score == pytest.approx(0.72) and summary.best.score_se == pytest.approx(0.02)
    assert summary.best.search_score == pytest.approx(0.8)
    assert summary.start.score == pytest.approx(0.52)
    assert [found.score for found in summary.leaders] == pytest.approx([0.72, 0.61, 0.52])
    assert summary.leaders[0].parent == summary.start.key


def test_leaders_are_chosen_with_their_errors_in_mind(stage):
    """One high score counts for less than four that are nearly as high."""
    search = stage({"start": [0.5, 0.6, 0.5, 0.6], "child1": [0.66] * 4, "child2": [0.65] * 4}, leaders=1)
    search.study.record(START, "search", 0, Score(0, 0.5, None, 0.0))
    for repeat, value in enumerate([0.6, 0.5, 0.6], start=1):
        search.study.record(START, "search", repeat, Score(0, value, None, 0.0))
    search.study.record(1, "search", 0, Score(0, 0.66, None, 0.0))
    for repeat in range(4):
        search.study.record(2, "search", repeat, Score(0, 0.65, None, 0.0))
    search.state.noise = search._noise()
    assert leading(search)[0] == 2


def test_a_failed_leader_is_not_the_best(stage):
    search = stage(
        {"start": [0.5, 0.52, 0.5, 0.52], "child1": [0.9] * 4},
        fresh={"start": [0.5, 0.54], "child1": [0.9, None]},
        fresh_repeats=2,
    )
    search.explore(Walk())
    best, summary = finish(search)
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
