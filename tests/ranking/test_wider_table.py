"""A table whose networks are wider keeps what they were trained to."""

import json
from pathlib import Path

import numpy as np
import pytest
from graphs import benchmark

from uninas import Genotype
from uninas.engine.tabulate import Row, TableFolder
from uninas.engine.tabulate.draw import Drawn
from uninas.ranking import RankingError
from uninas.ranking.halves import half_of
from uninas.ranking.tables.uninas_tiny import read

from .tables import tabulated


@pytest.fixture(scope="module")
def module():
    return benchmark("wider_table")


def narrow_table(folder: Path) -> Path:
    """The made-up table with all columns that `uninas tabulate` writes."""
    folder.mkdir()
    table = TableFolder(folder)
    table.write_networks([Drawn(found, name.split("-")[0], "walk", 0) for name, found in tabulated.networks().items()])
    for row in tabulated.rows():
        values = {name: None if value == "" and name in ("accuracy", "loss") else value for name, value in row.items()}
        table.append(Row(**{**values, "params": 1, "macs": 2, "depth": 4}))
    return folder


@pytest.mark.parametrize("half", ["choose", "judge"])
def test_the_same_labels_on_wider_networks(module, tmp_path, half):
    source = narrow_table(tmp_path / "narrow")
    before = read(source)
    count = module.write(source, tmp_path / "wide", 3, half, None)
    after = read(tmp_path / "wide")
    mine = [i for i in np.argsort(before.names) if half_of(before.names[i]) == half]
    assert len(after.names) == count == len(mine)
    for i, arch in zip(mine, after.archs, strict=True):
        narrow, wide = (Genotype.from_dict(json.loads(text)) for text in (before.archs[i], arch))
        assert [stage.width for stage in wide.stages] == [3 * stage.width for stage in narrow.stages]
        assert [conv.width for conv in wide.stem.convs] == [3 * conv.width for conv in narrow.stem.convs]
        assert wide.with_stage(0, narrow.stages[0]) != narrow  # the stem is wider too
    for column in after.columns:
        assert np.array_equal(column.trainings, before.column(column.name).trainings[mine], equal_nan=True)
    assert after.families == tuple(before.families[i] for i in mine)


def test_the_command(module, tmp_path, capsys):
    source = narrow_table(tmp_path / "narrow")
    words = ["--table", str(source), "--times", "2", "--count", "2", "--out", str(tmp_path / "wide")]
    module.main(words)
    assert capsys.readouterr().out.startswith("2 networks, 2 times as wide, in ")
    with pytest.raises(SystemExit) as ended:
        module.main(words)
    assert ended.value.code == RankingError.exit_code and "has a table already" in capsys.readouterr().err


def test_what_was_cut_short_is_no_table_and_nothing_is_added_to_it(module, tmp_path, monkeypatch):
    source, out = narrow_table(tmp_path / "narrow"), tmp_path / "wide"
    monkeypatch.setattr(TableFolder, "write_networks", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        module.write(source, out, 2, "judge", None)
    with pytest.raises(RankingError, match=r"networks\.json\.gz cannot be read"):
        read(out)
    with pytest.raises(RankingError, match="a table already, or a part of one; choose another --out"):
        module.write(source, out, 2, "judge", None)


@pytest.mark.parametrize("sizes", [(0, None), (2, 1)])
def test_too_few_networks_write_nothing(module, tmp_path, sizes):
    with pytest.raises(RankingError, match="a table needs at least 2"):
        module.write(narrow_table(tmp_path / "narrow"), tmp_path / "wide", sizes[0], "judge", sizes[1])
    assert not (tmp_path / "wide").exists()
