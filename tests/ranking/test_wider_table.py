"""A table whose networks are wider keeps what they were trained to."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from uninas import Genotype
from uninas.ranking import RankingError
from uninas.ranking.halves import half_of
from uninas.ranking.tables.uninas_tiny import read

from .tables import tabulated

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "wider_table.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("wider_table", BENCHMARK)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("half", ["choose", "judge"])
def test_the_same_labels_on_wider_networks(module, tmp_path, half):
    source = tabulated.write(tmp_path / "narrow")
    before = read(source)
    count = module.write(source, tmp_path / "wide", 3, half, None)
    after = read(tmp_path / "wide")
    mine = [i for i in np.argsort(before.names) if half_of(before.names[i]) == half]
    assert len(after.names) == count == len(mine)
    for i, arch in zip(mine, after.archs, strict=True):
        narrow, wide = (Genotype.from_dict(module.json.loads(text)) for text in (before.archs[i], arch))
        assert [stage.width for stage in wide.stages] == [3 * stage.width for stage in narrow.stages]
        assert [conv.width for conv in wide.stem.convs] == [3 * conv.width for conv in narrow.stem.convs]
        assert wide.with_stage(0, narrow.stages[0]) != narrow  # the stem is wider too
    for column in after.columns:
        assert np.array_equal(column.trainings, before.column(column.name).trainings[mine], equal_nan=True)
    assert after.families == tuple(before.families[i] for i in mine)


def test_the_command(module, tmp_path, capsys):
    source = tabulated.write(tmp_path / "narrow")
    words = ["--table", str(source), "--times", "2", "--count", "2", "--out", str(tmp_path / "wide")]
    module.main(words)
    assert capsys.readouterr().out.startswith("2 networks, 2 times as wide, in ")
    with pytest.raises(SystemExit) as ended:
        module.main(words)
    assert ended.value.code == RankingError.exit_code and "has a table already" in capsys.readouterr().err
