import bz2
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from uninas.ranking import RankingError
from uninas.ranking.tables.nasbench201 import is_complete, read
from uninas.ranking.tables.nats import read_nats

ONE, TWO = (
    "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
    "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|",
)
DEV = Path(__file__).parents[4] / "shared" / "data" / "nb201_dev.csv"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_reads_a_csv(tmp_path):
    path = write(tmp_path / "t.csv", f"index,arch,c10,c100\n3,{ONE},90.5,70\n7,{TWO},80,60.25\n")
    table = read(path)
    assert table.archs == table.names == (ONE, TWO)
    assert [column.name for column in table.columns] == ["c10", "c100"]
    assert table.column("c100").labels.tolist() == [70, 60.25]
    assert table.column("c100").higher_is_better and table.column("c100").percent
    assert [column.name for column in table.of_tasks(["c100"]).columns] == ["c100"]
    with pytest.raises(RankingError, match="did you mean 'c100'"):
        table.of_tasks(["c10", "c1000"])
    assert table.take([1]).archs == (TWO,)
    assert table.take([1]).column("c10").labels.tolist() == [80]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"architecture,c10\n{ONE},90\n", "no column 'arch'; its columns: architecture, c10"),
        (f"arch,c10\n{ONE},90\n{TWO},\n", "t.csv, line 3, column c10: .* got ''"),
        (f"arch,c10\n{ONE},90\n{TWO}\n", "t.csv, line 3, column c10: .* got None"),
        (f"arch,c10\n{ONE},nan\n{TWO},80\n", "line 2, column c10"),
        (f"arch,c10\n{ONE},190\n{TWO},80\n", "line 2, column c10"),
        (f"arch,c10\n{ONE},0.9\n{TWO},0.8\n", "expected percent"),
        (f"arch,c10\n{ONE},90\n{ONE},80\n", "already on line 2"),
        (f"arch,c10\n{ONE},90\n", "has 1 architectures"),
        (f"index,arch\n1,{ONE}\n2,{TWO}\n", "no column of accuracies"),
        ("", "its columns: none"),
    ],
)
def test_csv_errors(tmp_path, text, message):
    with pytest.raises(RankingError, match=message):
        read(write(tmp_path / "t.csv", text))


def test_missing_file(tmp_path):
    with pytest.raises(RankingError, match=r"nope\.csv cannot be read"):
        read(tmp_path / "nope.csv")


@pytest.mark.skipif(not DEV.is_file(), reason="needs shared/data/nb201_dev.csv beside the repository")
def test_dev_table():
    table = read(DEV)
    assert len(table) == 3000
    assert [column.name for column in table.columns] == ["c10_test_200", "c100_test_200", "in16_test_200"]
    assert all(is_complete(arch) for arch in table.archs)


def training(name: str, accuracy: float, epochs: int) -> dict:
    """One training as NATS-Bench stores it, with the types that its files have."""
    names = ["x-valid", "ori-test", "x-test"]
    return {
        "name": name,
        "params": np.float64(0.8),
        "latency": [np.float32(0.01)],
        "epochs": epochs,
        "eval_acc1es": {f"{n}@{e}": accuracy - (epochs - 1 - e) for n in names for e in range(epochs)},
        "net_state_dict": None,
    }


def entry(arch: str, accuracies: dict[str, list[float]]) -> OrderedDict:
    found = OrderedDict()
    for epochs in (12, 200):
        results = {
            (name, 777 + i): training(name, accuracy - (200 - epochs) / 10, epochs)
            for name, values in accuracies.items()
            for i, accuracy in enumerate(values)
        }
        seeds = {name: [777 + i for i in range(len(values))] for name, values in accuracies.items()}
        found[str(epochs)] = {"arch_index": 0, "arch_str": arch, "all_results": results, "dataset_seed": seeds}
    return found


def dump(path: Path, data: object) -> Path:
    with bz2.open(path, "wb") as file:
        pickle.dump(data, file, protocol=4)
    return path


ENTRIES = [
    entry(ONE, {"cifar10-valid": [1.0], "cifar10": [90.0, 92.0], "cifar100": [70.0], "ImageNet16-120": [40.0]}),
    entry(TWO, {"cifar10-valid": [1.0], "cifar10": [80.0], "cifar100": [60.0], "ImageNet16-120": [30.0, 36.0]}),
]


def test_reads_the_files_of_nats_bench(tmp_path):
    for i, data in enumerate(ENTRIES):
        dump(tmp_path / f"{i:06d}.pickle.pbz2", data)
    dump(tmp_path / "meta.pickle.pbz2", {"meta_archs": [ONE, TWO], "arch2infos": None})
    table = read(tmp_path)
    assert table.archs == (ONE, TWO)
    assert {column.name: column.labels.tolist() for column in table.columns} == {
        "cifar10": [91, 80],
        "cifar100": [70, 60],
        "ImageNet16-120": [40, 33],
    }
    assert table.column("cifar10").trainings[0].tolist() == [90, 92]
    assert np.isnan(table.column("cifar10").trainings[1]).tolist() == [False, True]
    everything = dump(tmp_path / "all.pickle.pbz2", {"meta_archs": [ONE, TWO], "arch2infos": dict(enumerate(ENTRIES))})
    assert read(everything).archs == (ONE, TWO)
    with pytest.raises(RankingError, match="give the folder"):
        read(tmp_path / "meta.pickle.pbz2")


def test_epochs(tmp_path):
    path = dump(tmp_path / "000000.pickle.pbz2", ENTRIES[0])
    assert read_nats(path, epochs=12).column("cifar10").labels[0] == pytest.approx(72.2)
    with pytest.raises(RankingError, match=r"lacks '90'.*with 90 epochs"):
        read_nats(path, epochs=90)


class Harm:
    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize("data", [{"200": Harm()}, {"200": np.zeros(3)}, [1, 2]])
def test_refuses_what_is_not_plain_data(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    path = dump(tmp_path / "000000.pickle.pbz2", data)
    with pytest.raises(RankingError, match=r"000000\.pickle\.pbz2"):
        read(path)
    assert not (tmp_path / "harmed").exists()


def test_damaged_and_empty(tmp_path):
    path = dump(tmp_path / "000000.pickle.pbz2", ENTRIES[0])
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(RankingError, match="cannot be read as plain data"):
        read(path)
    path.write_bytes(b"not bz2")
    with pytest.raises(RankingError, match="cannot be read as plain data"):
        read(path)
    path.unlink()
    with pytest.raises(RankingError, match="holds no architectures"):
        read(tmp_path)
