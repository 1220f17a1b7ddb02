import pytest

from uninas.ranking import RankingError
from uninas.ranking.halves import checked_half, half_of


def test_the_split_is_fixed():
    """What was chosen on one half must never be judged on it by a later version."""
    assert [half_of(key) for key in ("a", "b", "c", "02012100", "")] == [
        "choose",
        "choose",
        "judge",
        "choose",
        "choose",
    ]


def test_about_half_is_in_each():
    found = [half_of(str(i)) for i in range(2000)].count("choose")
    assert 900 < found < 1100


def test_names():
    assert checked_half("choose") == "choose"
    with pytest.raises(RankingError, match=r"no half 'chose'; did you mean 'choose'"):
        checked_half("chose")
