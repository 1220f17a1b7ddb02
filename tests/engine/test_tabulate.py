"""Tables of trained networks: what is drawn, what is kept when a process dies, and one that is really trained."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mmengine")

from engine.test_idx import write
from engine.trainings import MadeUp

from uninas.engine.errors import DataError, EngineError
from uninas.engine.tabulate import TableFolder, TabulateConfig, tabulate
from uninas.engine.tabulate.draw import bands, draw
from uninas.errors import StudyError
from uninas.search import Space

ROOT = Path(__file__).resolve().parents[2]
SIZES = (300_000, 600_000)


@pytest.fixture(scope="module")
def space() -> Space:
    return Space.load("uninas_tiny")


@pytest.fixture(scope="module")
def limits(space):
    return bands(space, SIZES, seed=0)


@pytest.fixture
def config(tmp_path):
    """Settings of a small table, some of them changed."""

    def make(**changes) -> TabulateConfig:
        plain = {"out": tmp_path / "table", "data_root": tmp_path, "count": 6, "repeated": 2, "sizes": "300K,600K"}
        return TabulateConfig.parse({**plain, "workers": 1, **changes})

    return make


def essence(table: TableFolder) -> list:
    """The rows but for times, in an order of their own."""
    return sorted((row.place, row.accuracy, row.loss, row.params, row.how, row.failure) for row in table.rows())


def test_networks_lie_in_narrow_bands(space, limits):
    for number in range(12):
        drawn = draw(space, limits, 0, number)
        assert drawn.band == number % 2
        limits[drawn.band].check(drawn.genotype)
        space.check(drawn.genotype)
    for band in limits:
        assert band.min_params == 0.85 * band.max_params
        assert band.min_macs * 1.5 == pytest.approx(band.max_macs, rel=1e-6)


def test_half_are_drawn_from_scratch_and_walks_take_the_starts_in_turn(space, limits):
    families = [draw(space, limits, 0, number).family for number in range(0, 16, 2)]
    assert families[::2] == ["sample"] * 4
    assert len(set(families[1::2])) >= 3


def test_the_nth_network_depends_on_nothing_but_seed_and_number(space, limits):
    first = [draw(space, limits, 0, number).genotype.key for number in (3, 4)]
    assert first == [draw(space, limits, 0, number).genotype.key for number in (3, 4)]
    assert first[0] != draw(space, limits, 1, 3).genotype.key
    assert first[0] != draw(space, limits, 0, 3, again=1).genotype.key


def test_a_table_has_a_row_for_each_training(config):
    table = tabulate(config(), scorer=MadeUp())
    rows = list(table.rows())
    networks = table.networks()
    assert len(networks) == 6 and len({d.genotype.key for d in networks}) == 6
    assert len(rows) == 6 + 2 * 2
    assert {row.place for row in rows} == {
        *((d.genotype.key, "tiny_fashion", 0) for d in networks),
        *((d.genotype.key, "tiny_fashion", seed) for d in networks[:2] for seed in (1, 2)),
    }
    by_key = {d.genotype.key: d for d in networks}
    for row in rows:
        assert row.depth == sum(len(stage.blocks) for stage in by_key[row.key].genotype.stages)
        assert row.family == by_key[row.key].family
        assert (row.accuracy is None) == bool(row.failure)


def test_failures_are_rows_with_a_reason(config):
    table = tabulate(config(), scorer=MadeUp(failing=1.0))
    assert {(row.accuracy, row.failure) for row in table.rows()} == {(None, "diverged: made up")}


def test_what_took_too_long_is_trained_again_in_its_place(config, tmp_path):
    whole = tabulate(config(out=tmp_path / "whole"), scorer=MadeUp())
    table = tabulate(config(), scorer=MadeUp(late=0.7))
    rows = list(table.rows())
    late = [row.place for row in rows if row.failure == "timed out: made up"]
    assert 0 < len(late) < len(rows)
    log = tmp_path / "log"
    again = tabulate(config(resume=True), scorer=MadeUp(log=str(log)))
    assert essence(again) == essence(whole) and len(log.read_bytes()) == len(late)
    assert [row.place for row in again.rows()] == [row.place for row in rows]


def test_a_network_that_diverged_is_not_trained_again(config, tmp_path):
    tabulate(config(), scorer=MadeUp(failing=1.0))
    log = tmp_path / "log"
    tabulate(config(resume=True), scorer=MadeUp(log=str(log)))
    assert not log.exists()


def test_one_process_adds_to_a_table(config):
    refused = []

    def second(_) -> None:
        with pytest.raises(StudyError, match=r"table: another process is adding to this table"):
            tabulate(config(count=2, resume=True), scorer=MadeUp())
        refused.append(True)

    table = tabulate(config(count=2, repeated=0), second, MadeUp())
    assert len(refused) == len(list(table.rows())) == 2
    tabulate(config(count=2, repeated=0, resume=True), scorer=MadeUp())


def test_a_folder_that_cannot_be_made_is_named(config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"file/table: cannot make the folder: .*; choose another --out"):
        tabulate(config(out=tmp_path / "file" / "table"), scorer=MadeUp())


def test_a_disk_that_is_full_is_said_and_loses_no_row(config):
    import resource

    table = tabulate(config(count=2, repeated=0), scorer=MadeUp())
    rows, path = list(table.rows()), table.folder / "results.csv"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(StudyError, match=r"results\.csv: cannot write: File too large"):
            table.append(replace(rows[0], seed=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    table.mend()
    assert list(table.rows()) == rows
    table.append(replace(rows[0], seed=1))
    assert len(list(table.rows())) == 3


@pytest.mark.parametrize("name", ["write_recipe", "write_networks"])
def test_files_that_cannot_be_written_are_named(config, monkeypatch, name):
    import errno

    table = tabulate(config(count=2), scorer=MadeUp())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = {file.name: file.read_bytes() for file in table.folder.iterdir()}
    monkeypatch.setattr("uninas.engine.tabulate.table.os.fsync", full)
    content = table.recipe if name == "write_recipe" else table.networks()
    with pytest.raises(
        StudyError, match=r"table/(recipe|networks)\.json(\.gz)?: cannot write: No space left on device"
    ):
        getattr(table, name)(content)
    assert {file.name: file.read_bytes() for file in table.folder.iterdir()} == before


@pytest.mark.parametrize("cut", [1, 40])
def test_a_row_that_was_cut_off_is_trained_again_and_no_other(config, tmp_path, cut):
    whole = tabulate(config(out=tmp_path / "whole"), scorer=MadeUp())
    table = tabulate(config(count=4), scorer=MadeUp())
    path = table.folder / "results.csv"
    path.write_bytes(path.read_bytes()[:-cut])
    log = tmp_path / "log"
    again = tabulate(config(resume=True), scorer=MadeUp(log=str(log)))
    assert essence(again) == essence(whole)
    assert len(log.read_bytes()) == 2 + 1  # two more networks, and what was cut off


def test_a_second_task_is_added(config):
    tabulate(config(), scorer=MadeUp())
    table = tabulate(config(protocol="tiny_digits", count=2, repeated=0, resume=True), scorer=MadeUp())
    assert len(table.networks()) == 6
    assert sorted(row.task for row in table.rows()) == ["tiny_digits"] * 2 + ["tiny_fashion"] * 10
    assert set(table.recipe["tasks"]) == {"tiny_digits", "tiny_fashion"}


def test_what_decides_the_rows_may_not_change(config, monkeypatch, tmp_path):
    tabulate(config(count=2), scorer=MadeUp())
    with pytest.raises(StudyError, match="give --resume"):
        tabulate(config(count=2), scorer=MadeUp())
    with pytest.raises(StudyError, match=r"seed: 0 in the table, 5 now"):
        tabulate(config(resume=True, seed=5), scorer=MadeUp())
    changed = tmp_path / "tiny_fashion.yaml"
    changed.write_text("base: tiny_digits\nschedule: {epochs: 3}\n")
    with pytest.raises(StudyError, match="tiny_fashion has changed"):
        tabulate(config(resume=True, protocol=str(changed)), scorer=MadeUp())


def test_networks_that_are_drawn_are_trained_though_the_space_has_changed(config):
    table = tabulate(config(), scorer=MadeUp())
    recipe, rows = table.recipe or {}, len(list(table.rows()))
    table.write_recipe({**recipe, "space": {**recipe["space"], "size_band": 0.5}})
    assert len(list(tabulate(config(resume=True), scorer=MadeUp()).rows())) == rows
    with pytest.raises(StudyError, match=r"has changed since its \d+ networks were drawn; use another --out"):
        tabulate(config(resume=True, count=len(table.networks()) + 3), scorer=MadeUp())


def test_a_table_is_made_of_classifications(config):
    with pytest.raises(EngineError, match="the task of this protocol is detection"):
        tabulate(config(protocol="tiny_coco"), scorer=MadeUp())


def test_data_are_looked_at_before_anything_is_drawn(config):
    with pytest.raises(DataError, match="train-images"):
        tabulate(config())
    assert not config().out.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.json", b"{"),
        ("recipe.json", b'{"schema": 99}'),
        ("networks.json.gz", b"nothing"),
        ("results.csv", b"a,b\n1,2\n"),
    ],
)
def test_files_that_are_not_a_table_are_named(config, name, content):
    table = tabulate(config(count=2), scorer=MadeUp())
    (table.folder / name).write_bytes(content)
    with pytest.raises(StudyError, match=name):
        tabulate(config(count=2, resume=True), scorer=MadeUp())


def test_killed_at_any_moment_and_resumed(config, tmp_path):
    whole = tabulate(config(out=tmp_path / "whole", count=12), scorer=MadeUp())
    run = (
        "import sys; sys.path.insert(0, sys.argv[2]); from engine.trainings import MadeUp; "
        "from uninas.engine.tabulate import TabulateConfig, tabulate; "
        "tabulate(TabulateConfig.model_validate_json(sys.argv[1]), scorer=MadeUp(seconds=.1))"
    )
    settings = config(count=12, workers=2, resume=True)
    command = [sys.executable, "-W", "ignore", "-c", run, settings.model_dump_json(), str(ROOT / "tests")]
    results, kills = settings.out / "results.csv", 0
    for rows in (1, 6):
        process = subprocess.Popen(command, start_new_session=True)
        while process.poll() is None and not (results.is_file() and results.read_bytes().count(b"\n") > rows):
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    assert essence(tabulate(settings, scorer=MadeUp())) == essence(whole)


def test_a_table_that_is_really_trained(tmp_path):
    write(tmp_path / "data", "train", count=100)
    write(tmp_path / "data", "t10k", count=50)
    command = [sys.executable, "-W", "ignore", "-c", "from uninas.cli import main; main()", "tabulate"]
    sizes = ["--count", "2", "--repeated", "1", "--seeds", "2", "--sizes", "300K", "--workers", "1"]
    where = ["--data-root", str(tmp_path / "data"), "--out", str(tmp_path / "table")]
    done = subprocess.run([*command, *sizes, *where, "--json"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"out": str(tmp_path / "table"), "rows": 3, "networks": 2, "failed": 0}
    rows = list(TableFolder(tmp_path / "table").rows())
    assert all(0 <= row.accuracy <= 100 and row.loss > 0 and row.seconds > 0 for row in rows)
    again = subprocess.run([*command, *sizes, *where], capture_output=True, text=True, timeout=600)
    assert again.returncode == 1 and "give --resume" in again.stderr and "Traceback" not in again.stderr
