import gzip
import json

import numpy as np
import pytest
import torch

import uninas
from uninas.ranking import RankingError
from uninas.ranking.tables import load, locate
from uninas.ranking.tables.uninas_tiny import BENCHMARK, read

from . import tabulated


@pytest.fixture(scope="module")
def networks():
    return list(tabulated.networks().values())


def test_reads_tasks_seeds_families_and_failures(tmp_path, networks):
    table = read(tabulated.write(tmp_path))
    assert table.names == tuple(genotype.key for genotype in networks[:7])
    assert [(c.name, c.task, c.higher_is_better, c.percent) for c in table.columns] == [
        ("a", "a", True, True),
        ("a_loss", "a", False, False),
        ("b", "b", True, True),
        ("b_loss", "b", False, False),
    ]
    assert table.column("a").trainings.shape == (7, 2)
    assert table.column("a").labels.tolist() == [60.5, 64, 68.5, 72, 76.5, 80, 84.5]  # means over the seeds
    assert table.column("a_loss").labels[0] == pytest.approx(2 - 0.605)
    assert np.flatnonzero(np.isfinite(table.column("b").labels)).tolist() == [0, 3, 5]
    assert table.families == ("resnet",) * 4 + ("efficientnet",) * 3
    assert table.failures == ((networks[7].key, "training failed: diverged"),)
    assert [column.name for column in table.of_tasks(["b"]).columns] == ["b", "b_loss"]
    assert [column.name for column in table.of_tasks(["a_loss"]).columns] == ["a_loss"]


def test_an_architecture_is_enough_to_build_the_network(tmp_path, networks):
    table = read(tabulated.write(tmp_path))
    found = BENCHMARK.module(table.archs[0], 5, 3)
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.eval()(x), uninas.build(networks[0], 5, seed=3).eval()(x))
    assert BENCHMARK.key(table.archs[0]) == networks[0].key


def test_the_folder_is_recognised(tmp_path):
    folder = tabulated.write(tmp_path / "mine")
    assert locate(folder) == ("uninas_tiny", folder)
    assert load("uninas_tiny") is BENCHMARK


def test_a_line_that_is_being_written_is_not_there_yet(tmp_path):
    folder = tabulated.write(tmp_path)
    whole, before = (folder / "results.csv").read_bytes(), read(folder)
    (folder / "results.csv").write_bytes(whole + whole.splitlines()[1][:20])
    assert read(folder).names == before.names
    assert read(folder).column("a").labels.tolist() == before.column("a").labels.tolist()


def test_loss_may_be_missing(tmp_path, networks):
    rows = [{**row, "loss": ""} for row in tabulated.rows()]
    assert [column.name for column in read(tabulated.write(tmp_path, results=rows)).columns] == ["a", "b"]


def changed(**fields) -> list[dict]:
    first, *rest = tabulated.rows()
    return [{**first, **fields}, *rest]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(accuracy=""), "line 2, column accuracy: .* got ''"),
        (changed(accuracy=101), "line 2, column accuracy: .* got '101'"),
        (changed(loss="high"), "line 2, column loss: a loss is a number, got 'high'"),
        (changed(seed="x"), "line 2, column seed: expected a whole number, got 'x'"),
        (changed(key="nope"), r"line 2, column key: networks\.json\.gz has no network 'nope'"),
        ([*changed(), changed()[0]], "already on line 2"),
        (changed()[:1], "has 1 trained networks"),
        ([], "has 0 trained networks"),
    ],
)
def test_bad_results(tmp_path, rows, message):
    with pytest.raises(RankingError, match=message) as error:
        read(tabulated.write(tmp_path, results=rows))
    assert "results.csv" in str(error.value)


def test_results_without_a_column(tmp_path):
    folder = tabulated.write(tmp_path)
    text = (folder / "results.csv").read_text()
    (folder / "results.csv").write_text(text.replace("family", "clan", 1))
    with pytest.raises(RankingError, match=r"results\.csv has no column 'family'"):
        read(folder)
    (folder / "results.csv").unlink()
    with pytest.raises(RankingError, match=r"results\.csv cannot be read"):
        read(folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"schema": 2, "genotypes": {}}, "reads schema 1, the file has 2"),
        ([], "the file has 'list'"),
        ({"schema": 1}, "genotypes: expected a mapping"),
        ({"schema": 1, "genotypes": {"k": {"schema_version": 1}}}, r"genotypes\.k: stages: is missing"),
    ],
)
def test_bad_networks(tmp_path, data, message):
    with pytest.raises(RankingError, match=message) as error:
        read(tabulated.write(tmp_path, data))
    assert "networks.json.gz" in str(error.value)


def test_networks_that_were_changed(tmp_path, networks):
    """A graph edited by hand would be judged by another network's accuracy."""
    data = {"schema": 1, "genotypes": {networks[0].key: networks[1].to_dict()}}
    with pytest.raises(RankingError, match=r"the key of this genotype is .*; the file was changed"):
        read(tabulated.write(tmp_path, data))


def test_damaged_networks(tmp_path):
    folder = tabulated.write(tmp_path)
    whole = (folder / "networks.json.gz").read_bytes()
    for content in (whole[:100], b"no gzip", gzip.compress(json.dumps([]).encode()[:1])):
        (folder / "networks.json.gz").write_bytes(content)
        with pytest.raises(RankingError, match="cannot be read as compressed JSON"):
            read(folder)
