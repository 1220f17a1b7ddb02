"""What a score saves, on networks whose accuracies and scores are known."""

import numpy as np
import pytest
from graphs import benchmark

from uninas.ranking import RankingError
from uninas.ranking.stored import Stored
from uninas.ranking.tables import Column, Table

NETWORKS = 40


@pytest.fixture(scope="module")
def module():
    return benchmark("first_of_draw")


def stored(higher: bool = True, spread: float = 0.0) -> tuple[Stored, Column]:
    """Two bands of 40 networks: `naswot` orders them as trainings do, `jacov` the other way round."""
    rng = np.random.default_rng(0)
    quality = np.concatenate([rng.permutation(NETWORKS), rng.permutation(NETWORKS)]).astype(float)
    trainings = (quality if higher else -quality)[:, None] + rng.normal(0, spread, (2 * NETWORKS, 2))
    column = Column("top1", "made up", trainings, higher_is_better=higher, percent=False)
    params = np.concatenate([np.linspace(100, 200, NETWORKS), np.linspace(1000, 2000, NETWORKS)])
    names = tuple(f"n{i}" for i in range(2 * NETWORKS))
    run = [{"params": p, "macs": p, "naswot": q, "jacov": -q} for p, q in zip(params.tolist(), quality.tolist())]
    return Stored(Table(names, (column,)), names, ("params", "macs", "naswot", "jacov"), (run,)), column


def test_bands_are_of_one_size(module):
    params = np.array([100.0, 500, 105, 510, 110, 2000])
    assert [sorted(params[band]) for band in module.bands(params, 2)] == [[100, 105, 110], [500, 510]]


def test_the_first_of_a_score_that_is_right_is_the_best(module):
    draws = module.Draws(*stored(), 10, 200, 0)
    best = np.mean([draws.labels[draw].max() for draw in draws.draws])
    assert [len(band) for band in draws.bands] == [NETWORKS, NETWORKS] and draws.noise == 0
    assert draws.row("naswot", [1, 10]) == pytest.approx([best, best])
    assert draws.row("jacov", [10]) == pytest.approx([best])  # who trains all needs no score
    assert draws.row("jacov", [1])[0] < draws.row(module.NO_SCORE, [1])[0] - 10
    assert draws.row(module.NO_SCORE, [1])[0] == pytest.approx((NETWORKS - 1) / 2, abs=1.5)


def test_networks_that_were_not_trained_are_drawn_nowhere(module):
    found, column = stored()
    column.trainings[::4] = np.nan
    draws = module.Draws(found, column, 10, 200, 0)
    assert [len(band) for band in draws.bands] == [30, 30] and not set(range(0, 80, 4)) & set(draws.draws.flat)
    assert np.isfinite(draws.row(module.NO_SCORE, [1, 10])).all()


def test_what_a_score_is_worth(module):
    without = [5.0, 7.0, 8.0, 8.5]
    assert [module.worth(value, without, True) for value in (4, 5, 7.5, 8.5, 9)] == [1, 1, 3, 4, None]
    losses = [0.5, 0.4, 0.3]
    assert [module.worth(value, losses, False) for value in (0.6, 0.4, 0.35, 0.2)] == [1, 2, 3, None]


def test_losses_point_the_other_way(module):
    ours, theirs = module.Draws(*stored(), 10, 50, 0), module.Draws(*stored(higher=False), 10, 50, 0)
    assert theirs.row("naswot", [1, 4]) == pytest.approx([-value for value in ours.row("naswot", [1, 4])])


def test_a_noisy_training_chooses_worse(module):
    quiet, noisy = module.Draws(*stored(), 10, 200, 0), module.Draws(*stored(spread=5), 10, 200, 0)
    assert noisy.noise == pytest.approx(5, rel=0.25)
    assert noisy.row(module.NO_SCORE, [10])[0] < quiet.row(module.NO_SCORE, [10])[0]


def test_a_band_too_small(module):
    with pytest.raises(RankingError, match="no band of size holds 41 networks; give a smaller --draw"):
        module.Draws(*stored(), NETWORKS + 1, 1, 0)
