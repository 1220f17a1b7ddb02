from pathlib import Path

import pytest

from uninas import resources
from uninas.ranking import RankingError
from uninas.ranking.tables import benchmarks, load, locate

from . import tabulated

MINE = """
import torch
from uninas.ranking.tables import Benchmark, Column, Inputs, Table

def read(path):
    ...

def module(arch, classes, seed):
    ...

BENCHMARK = Benchmark("mine", "a text file", lambda path: True, read, str, module, Inputs(1, 8), 3)
"""


def test_every_file_of_the_room_is_known():
    assert set(benchmarks()) == {"nasbench201", "nasbench_macro", "uninas_tiny"}
    assert all(name == benchmark.name for name, benchmark in benchmarks().items())


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    found = load(str(path))
    assert (found.name, found.inputs.channels, found.classes) == ("mine", 1, 3)
    table = tmp_path / "table.txt"
    table.touch()
    assert locate(table, str(path)) == (str(path), table)


@pytest.mark.parametrize(
    ("text", "message"), [("1 / 0", "ZeroDivisionError"), ("BENCHMARK = 3", "defines no BENCHMARK"), ("", "defines no")]
)
def test_bad_files_of_ones_own(tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(RankingError, match=message):
        load(str(path))


def test_what_there_is_not(tmp_path):
    with pytest.raises(RankingError, match="did you mean 'nasbench201'"):
        load("nasbench101")
    with pytest.raises(RankingError, match="no such file of a benchmark"):
        load(str(tmp_path / "nope.py"))
    with pytest.raises(RankingError, match=r"nope\.csv cannot be read: there is no such file"):
        locate(tmp_path / "nope.csv")
    (tmp_path / "what.xyz").touch()
    with pytest.raises(RankingError, match=r"no table of a known kind \(nasbench201: a CSV file .*--benchmark"):
        locate(tmp_path / "what.xyz")


@pytest.mark.parametrize("name", ["t.csv", "000000.pickle.pbz2", "t.json"])
def test_kinds_are_told_apart(tmp_path, name):
    (tmp_path / name).touch()
    expected = "nasbench_macro" if name == "t.json" else "nasbench201"
    assert locate(tmp_path / name) == (expected, tmp_path / name)


def test_tables_that_come_with_uninas_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    folder = tabulated.write(tmp_path / "tables" / "small")
    assert locate("small") == ("uninas_tiny", folder)
    with pytest.raises(RankingError, match="a bare name finds one of: small"):
        locate(Path("smal"))
