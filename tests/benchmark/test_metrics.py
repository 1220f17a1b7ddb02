import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import ndcg_score

from uninas.benchmark import BenchmarkError, bootstrap, difference, metrics
from uninas.benchmark.bootstrap import draws, resampled

ACC = np.random.default_rng(0).uniform(60, 94, 400)
SCORE = ACC + np.random.default_rng(1).normal(0, 4, 400)


def test_equals_the_definitions():
    found = metrics(ACC, SCORE, k=100)
    assert found.kendall == pytest.approx(kendalltau(SCORE, ACC).statistic)
    assert found.spearman == pytest.approx(spearmanr(SCORE, ACC).statistic)
    gains = np.ldexp(2**ACC - 1, -60)  # only the ratios count; scikit-learn warns of larger numbers
    assert found.ndcg == pytest.approx(ndcg_score([gains], [SCORE], k=100))
    order = np.argsort(-SCORE)[:100]  # by hand, to be sure what scikit-learn computes
    best = np.sort(gains)[::-1][:100]
    places = np.log2(np.arange(100) + 2)
    assert found.ndcg == pytest.approx((gains[order] / places).sum() / (best / places).sum())


@pytest.mark.filterwarnings("error")
def test_perfect_reversed_and_extreme():
    acc = [0.0, 50.0, 99.0, 100.0]
    perfect = metrics(acc, [1, 2, 3, 1e300])
    assert (perfect.kendall, perfect.spearman, perfect.ndcg) == pytest.approx((1, 1, 1))
    assert metrics(acc, [4, 3, 2, 1]).kendall == pytest.approx(-1)


def test_equal_scores_do_not_depend_on_the_order_of_the_table():
    score = np.round(SCORE / 8)
    shuffled = np.random.default_rng(2).permutation(len(ACC))
    one, other = metrics(ACC, score, k=20), metrics(ACC[shuffled], score[shuffled], k=20)
    assert vars(one) == pytest.approx(vars(other))
    assert one.kendall == pytest.approx(kendalltau(score, ACC, variant="b").statistic)


def test_failures_rank_last_and_alike():
    score = [*SCORE[:-4], None, float("nan"), float("inf"), float("-inf")]
    low = [*SCORE[:-4], -1e9, -1e9, -1e9, -1e9]
    assert metrics(ACC, score) == metrics(ACC, low)


@pytest.mark.parametrize(
    ("acc", "score", "message"),
    [
        ([50.0], [1.0], "at least 2"),
        ([50.0, 60.0], [1.0], "2 accuracies but 1 scores"),
        ([50.0, 160.0], [1.0, 2.0], "got 160.0 at position 1"),
        ([50.0, float("nan")], [1.0, 2.0], "got nan at position 1"),
        ([50.0, 60.0], [1.0, 1.0], "2 scores are all equal"),
        ([50.0, 60.0], [None, None], "2 scores are all failures"),
        ([50.0, 50.0], [1.0, 2.0], "2 accuracies are all equal"),
    ],
)
def test_errors(acc, score, message):
    with pytest.raises(BenchmarkError, match=message):
        metrics(acc, score)


def test_resamples_equal_the_drawn_lists():
    acc, score = np.round(ACC[:120]), [*np.round(SCORE[:115] / 4), *[None] * 5]
    counts = draws(np.random.default_rng(3), 120, 25)
    assert (counts.sum(1) == 120).all()
    for row, values in zip(counts, resampled(acc, score, counts, k=30)):
        drawn = np.repeat(np.arange(120), row)
        expected = metrics(acc[drawn], [score[i] for i in drawn], k=30)
        assert values == pytest.approx([expected.kendall, expected.spearman, expected.ndcg], abs=1e-12)


def test_intervals():
    mean, found = bootstrap(ACC, [SCORE, SCORE**3], np.random.default_rng(4), resamples=300)
    assert vars(mean) == pytest.approx(vars(metrics(ACC, SCORE)))  # a monotone change of scores changes nothing
    for name, (low, high) in vars(found).items():
        assert low < getattr(mean, name) < high
    again = bootstrap(ACC, [SCORE, SCORE**3], np.random.default_rng(4), resamples=300)
    assert again == (mean, found)
    narrow = bootstrap(ACC, [SCORE], np.random.default_rng(4), resamples=300, level=0.5)[1]
    assert found.kendall[0] < narrow.kendall[0] < narrow.kendall[1] < found.kendall[1]


def test_interval_covers_the_population():
    """Samples of a large population: about 95 % of the intervals hold its tau."""
    rng = np.random.default_rng(5)
    acc = rng.uniform(60, 94, 4000)
    score = acc + rng.normal(0, 6, 4000)
    truth = kendalltau(acc, score).statistic
    held = 0
    for _ in range(100):
        rows = rng.choice(4000, 100, replace=False)
        low, high = bootstrap(acc[rows], [score[rows]], rng, resamples=200)[1].kendall
        held += low <= truth <= high
    assert held >= 85


def test_difference_of_two_scores():
    better = ACC + np.random.default_rng(6).normal(0, 2, 400)
    found = difference(ACC, [better], [SCORE], np.random.default_rng(7), resamples=200)
    assert found.kendall[0] > 0
    same = difference(ACC, [SCORE], [SCORE], np.random.default_rng(7), resamples=20)
    assert same.kendall == (0, 0)


@pytest.mark.parametrize("bad", [{"runs": []}, {"level": 1.0}, {"resamples": 0}])
def test_bootstrap_errors(bad):
    with pytest.raises(BenchmarkError, match="at least one run"):
        bootstrap(ACC, bad.pop("runs", [SCORE]), np.random.default_rng(0), **bad)
