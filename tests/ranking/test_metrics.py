import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata, spearmanr
from sklearn.metrics import ndcg_score

from uninas.ranking import Draws, Labels, Metrics, RankingError, metrics
from uninas.ranking.metrics import NAMES, residuals

ACC = np.random.default_rng(0).uniform(60, 94, 400)
SCORE = ACC + np.random.default_rng(1).normal(0, 4, 400)
SIZES = np.stack([ACC + np.random.default_rng(8).normal(0, s, 400) for s in (5, 9)], axis=1)
FAMILIES = tuple(np.random.default_rng(9).choice(["a", "b", "c", "few"], 400, p=[0.4, 0.4, 0.195, 0.005]))
FULL = Labels(ACC, sizes=SIZES, families=FAMILIES)


def test_equals_the_definitions():
    found = metrics(Labels(ACC), SCORE, k=100)
    assert found.kendall == pytest.approx(kendalltau(SCORE, ACC).statistic)
    assert found.spearman == pytest.approx(spearmanr(SCORE, ACC).statistic)
    gains = np.ldexp(2**ACC - 1, -60)  # only the ratios count; scikit-learn warns of larger numbers
    assert found.ndcg == pytest.approx(ndcg_score([gains], [SCORE], k=100))
    order = np.argsort(-SCORE)[:100]  # by hand, to be sure what scikit-learn computes
    best = np.sort(gains)[::-1][:100]
    places = np.log2(np.arange(100) + 2)
    assert found.ndcg == pytest.approx((gains[order] / places).sum() / (best / places).sum())
    assert found.top == pytest.approx(ACC[np.argsort(-SCORE)[:20]].mean())
    assert found.given_size is None and found.within_family is None


def test_given_size_equals_a_direct_computation():
    ranks = rankdata(SIZES, axis=0)
    design = np.column_stack([np.ones(400), ranks])

    def left(values):
        y = rankdata(values)
        return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]

    found = metrics(FULL, SCORE).given_size
    assert found == pytest.approx(kendalltau(left(SCORE), left(ACC)).statistic, abs=1e-4)
    assert 0.2 < found < metrics(FULL, SCORE).kendall


def test_given_size_is_near_zero_where_only_size_is_shared():
    """Kendall's partial tau of 1942 is .14 there, which is why it is not used."""
    rng = np.random.default_rng(10)
    size, a, b = rng.normal(size=(3, 4000))
    score, acc = 0.8 * size + 0.6 * a, 0.8 * size + 0.6 * b
    labels = Labels(acc, percent=False, sizes=size[:, None])
    assert abs(metrics(labels, score).given_size) < 0.04
    xy, xz, yz = (kendalltau(*pair).statistic for pair in ((score, acc), (score, size), (acc, size)))
    assert (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)) > 0.1


def test_given_size_of_a_size_is_undefined_and_sizes_may_rank_alike():
    alike = np.stack([SIZES[:, 0], 2 * SIZES[:, 0]], axis=1)
    once = Labels(ACC, sizes=SIZES[:, :1])
    twice = Labels(ACC, sizes=alike)
    assert metrics(twice, SCORE).given_size == pytest.approx(metrics(once, SCORE).given_size)
    assert metrics(twice, SIZES[:, 0]).given_size is None
    assert Draws(twice, np.random.default_rng(0), 5).judge([SIZES[:, 0]]).intervals().given_size is None


def test_networks_of_unknown_size_are_left_out_of_it():
    sizes = SIZES.copy()
    sizes[:7, 1] = np.nan
    part = Labels(ACC[7:], sizes=SIZES[7:])
    assert metrics(Labels(ACC, sizes=sizes), SCORE).given_size == pytest.approx(metrics(part, SCORE[7:]).given_size)


def test_a_draw_without_any_network_of_known_size():
    labels = Labels([50.0, 60, 70, 80], sizes=np.array([[1.0], [3], [2], [np.nan]]))
    draws = Draws(labels, np.random.default_rng(0), 2000)
    assert draws.counts[:, :3].sum(1).min() == 0  # one draw in 256 is of the last network alone
    low, high = draws.judge([[1, 2, 3, 4]]).intervals().given_size
    assert -1 <= low <= high <= 1


def test_within_a_family():
    names = np.array(FAMILIES)
    assert 0 < (names == "few").sum() < 5  # too few to be ranked within
    expected = [kendalltau(SCORE[names == name], ACC[names == name]).statistic for name in "abc"]
    assert metrics(FULL, SCORE).within_family == pytest.approx(np.mean(expected))


def test_labels_of_which_less_is_better():
    loss = Labels(100 - ACC, higher_is_better=False, percent=False, sizes=SIZES, families=FAMILIES)
    up, down = metrics(FULL, SCORE), metrics(loss, SCORE)
    for name in ("kendall", "spearman", "given_size", "within_family"):
        assert getattr(down, name) == pytest.approx(getattr(up, name)), name
    assert down.ndcg is None
    assert down.top == pytest.approx(100 - up.top)


def test_top_shares_places_among_equal_scores():
    labels = Labels(np.array([90.0, 80, 70, 60, *[50.0] * 36]))
    assert metrics(labels, [5, 5, 5, 5, *range(-36, 0)]).top == pytest.approx(75)  # 2 places among 4
    assert metrics(labels, [9, 5, 5, 5, *range(-36, 0)]).top == pytest.approx((90 + 70) / 2)


@pytest.mark.filterwarnings("error")
def test_perfect_reversed_and_extreme():
    labels = Labels(np.array([0.0, 50.0, 99.0, 100.0]))
    perfect = metrics(labels, [1, 2, 3, 1e300])
    assert (perfect.kendall, perfect.spearman, perfect.ndcg, perfect.top) == pytest.approx((1, 1, 1, 100))
    assert metrics(labels, [4, 3, 2, 1]).kendall == pytest.approx(-1)


def test_equal_scores_do_not_depend_on_the_order_of_the_table():
    score = np.round(SCORE / 8)
    shuffled = np.random.default_rng(2).permutation(len(ACC))
    other = Labels(ACC[shuffled], sizes=SIZES[shuffled], families=tuple(FAMILIES[i] for i in shuffled))
    assert metrics(FULL, score, k=20).row() == pytest.approx(metrics(other, score[shuffled], k=20).row())
    assert metrics(FULL, score).kendall == pytest.approx(kendalltau(score, ACC, variant="b").statistic)


def test_failures_rank_last_and_alike():
    score = [*SCORE[:-4], None, float("nan"), float("inf"), float("-inf")]
    low = [*SCORE[:-4], -1e9, -1e9, -1e9, -1e9]
    assert metrics(FULL, score) == metrics(FULL, low)


@pytest.mark.parametrize(
    ("acc", "options", "message"),
    [
        ([50.0], {}, "at least 2"),
        ([50.0, 160.0], {}, "got 160.0 at position 1"),
        ([50.0, float("nan")], {}, "got nan at position 1"),
        ([50.0, float("inf")], {"percent": False}, "a finite number, got inf at position 1"),
        ([50.0, 50.0], {}, "2 labels are all equal"),
        ([50.0, 60.0], {"sizes": np.ones((3, 2))}, "2 labels but 3 sizes"),
        ([50.0, 60.0], {"families": ("a",)}, "2 labels but 1 families"),
    ],
)
def test_bad_labels(acc, options, message):
    with pytest.raises(RankingError, match=message):
        Labels(acc, **options)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ([1.0], "2 labels but 1 scores"),
        ([1.0, 1.0], "2 scores are all equal"),
        ([None, None], "2 scores are all failures"),
    ],
)
def test_bad_scores(score, message):
    with pytest.raises(RankingError, match=message):
        metrics(Labels(np.array([50.0, 60.0])), score)


@pytest.mark.parametrize("loss", [False, True])
def test_draws_equal_the_drawn_lists(loss):
    few = FAMILIES[:120]
    values = 100 - np.round(ACC[:120]) if loss else np.round(ACC[:120])
    labels = Labels(values, not loss, not loss, np.round(SIZES[:120] / 2), few)
    score = [*np.round(SCORE[:115] / 4), *[None] * 5]
    draws = Draws(labels, np.random.default_rng(3), 25, k=30)
    assert (draws.counts.sum(1) == 120).all()
    for row, found in zip(draws.counts, draws.values(score)):
        drawn = np.repeat(np.arange(120), row)
        families = tuple(few[i] for i in drawn)
        alike = Labels(values[drawn], not loss, not loss, labels.sizes[drawn], families)
        expected = metrics(alike, [score[i] for i in drawn], k=30)
        for name, one, other in zip(NAMES, found, expected.row()):
            # Of the families, it is the table that says which are large enough, not the draw.
            if name != "within_family" or min(np.unique(families, return_counts=True)[1]) >= 5:
                assert one == pytest.approx(other, abs=1e-9, nan_ok=True), name


def test_intervals():
    draws = Draws(FULL, np.random.default_rng(4), 300)
    judged = draws.judge([SCORE, SCORE**3])  # a monotone change of scores changes nothing
    assert judged.metrics.row() == pytest.approx(metrics(FULL, SCORE).row())
    found = judged.intervals()
    for name, (low, high) in vars(found).items():
        assert low < getattr(judged.metrics, name) < high, name
    again = Draws(FULL, np.random.default_rng(4), 300).judge([SCORE, SCORE**3])
    assert again.intervals() == found
    narrow = judged.intervals(0.5)
    assert found.kendall[0] < narrow.kendall[0] < narrow.kendall[1] < found.kendall[1]


def test_interval_covers_the_population():
    """Samples of a large population: about 95 % of the intervals hold its tau, and its tau given size."""
    rng = np.random.default_rng(5)
    size = rng.normal(size=3000)
    acc = 75 + 4 * size + rng.normal(0, 4, 3000)
    score = acc + 3 * size + rng.normal(0, 4, 3000)
    whole = metrics(Labels(acc, percent=False, sizes=size[:, None]), score)
    held = np.zeros(2)
    for _ in range(60):
        rows = rng.choice(3000, 80, replace=False)
        labels = Labels(acc[rows], percent=False, sizes=size[rows][:, None])
        found = Draws(labels, rng, 120).judge([score[rows]]).intervals()
        for i, name in enumerate(("kendall", "given_size")):
            low, high = getattr(found, name)
            held[i] += low <= getattr(whole, name) <= high
    assert (held >= 50).all(), held


def test_lead_of_two_scores():
    better = ACC + np.random.default_rng(6).normal(0, 2, 400)
    draws = Draws(FULL, np.random.default_rng(7), 200)
    one, other = draws.judge([better]), draws.judge([SCORE])
    lead = one.lead(other)
    assert lead.kendall[0] > 0 and lead.given_size[0] > 0
    assert lead.kendall[1] - lead.kendall[0] < sum(np.ptp(j.intervals().kendall) for j in (one, other))
    assert one.lead(one).kendall == (0, 0)


def test_undefined_metrics_have_no_interval():
    judged = Draws(Labels(ACC, percent=False), np.random.default_rng(0), 10).judge([SCORE])
    assert judged.metrics == Metrics.of([*judged.metrics.row()])
    assert judged.intervals().ndcg is judged.intervals().given_size is judged.intervals().within_family is None


def test_residuals_are_zero_where_size_explains_all():
    ranks = rankdata(SIZES[:, 0])[None]
    assert not residuals(ranks, ranks[..., None], np.ones(ranks.shape)).any()


def test_errors_of_draws():
    with pytest.raises(RankingError, match="at least one run"):
        Draws(FULL, np.random.default_rng(0), 5).judge([])
    with pytest.raises(RankingError, match="at least one resample"):
        Draws(FULL, np.random.default_rng(0), 0)
    with pytest.raises(RankingError, match="level"):
        Draws(FULL, np.random.default_rng(0), 5).judge([SCORE]).intervals(1.0)
