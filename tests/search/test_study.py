"""Studies: the same seed gives the same study, whatever kills it in between, and bad ones are refused."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from uninas.errors import ProxyError, SpaceError, StudyError
from uninas.genotype import Genotype
from uninas.search import Interrupted, Summary, search
from uninas.search.lock import Lock
from uninas.search.schema import FILE

WALL_CLOCK = {"seconds", "files"}


def contents(folder) -> dict:
    """All that a study holds, but times."""
    db = sqlite3.connect(folder / FILE)
    columns = "id, key, genotype, parent, move, generation, params, macs, status, failure"
    found = {
        "candidates": db.execute(f"SELECT {columns} FROM candidates ORDER BY id").fetchall(),
        "scores": db.execute(
            "SELECT candidate, phase, repeat, seed, value, failure FROM scores ORDER BY candidate, phase, repeat"
        ).fetchall(),
        "meta": db.execute("SELECT name, value FROM meta WHERE name != 'seconds' ORDER BY name").fetchall(),
    }
    db.close()
    return found


def essence(summary: Summary) -> dict:
    return summary.model_dump(exclude=WALL_CLOCK)


@pytest.mark.parametrize("strategy", ["walk", "random"])
def test_same_seed_same_study(config, tmp_path, strategy):
    first = search(config(strategy=strategy, out=tmp_path / "a"))
    again = search(config(strategy=strategy, out=tmp_path / "b"))
    assert essence(first) == essence(again)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    other = search(config(strategy=strategy, out=tmp_path / "c", seed=1))
    assert essence(other) != essence(first)


def test_workers_change_nothing(config, tmp_path):
    search(config(out=tmp_path / "a"))
    search(config(out=tmp_path / "b", threads=2))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_what_is_written(config):
    settings = config()
    seen = []
    summary = search(settings, seen.append)
    written = json.loads((settings.out / "summary.json").read_text())
    assert written == json.loads(summary.model_dump_json())
    best = Genotype.load(settings.out / "best.yaml")
    assert best.key == written["best"]["key"]
    assert written["gain"] == pytest.approx(written["best"]["score"] - written["start"]["score"])
    assert written["best"]["key"] in [leader["key"] for leader in written["leaders"]]
    assert written["best"]["score_se"] > 0 and written["start"]["score_se"] > 0
    assert written["evaluated"] == written["iterations"] == 6
    assert {"duplicates", "rejected", "seconds"} <= written.keys() and written["seconds"] > 0
    assert [progress.done for progress in seen if progress.phase == "search"][-1] == 6
    assert seen[-1].phase == "fresh" and seen[-1].done == seen[-1].total
    assert sorted(path.name for path in settings.out.iterdir()) == [
        ".lock",
        "best.yaml",
        "study.sqlite",
        "summary.json",
    ]
    assert all(candidate["phase"] != "x" for candidate in [progress.model_dump() for progress in seen])


@pytest.mark.parametrize("strategy", ["walk", "random"])
@pytest.mark.parametrize("after", [1, 5, 8, 11])
def test_interrupted_after_any_score_it_goes_on_exactly(config, tmp_path, strategy, after):
    whole = search(config(strategy=strategy, out=tmp_path / "whole"))
    settings = config(strategy=strategy)
    count = 0

    def interrupt(_):
        nonlocal count
        count += 1
        if count == after:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"of 6 evaluations.*--resume"):
        search(settings, interrupt)
    assert not (settings.out / "summary.json").exists()
    resumed = search(config(strategy=strategy, resume=True))
    assert essence(resumed) == essence(whole)
    assert contents(settings.out) == contents(tmp_path / "whole")


def run_in_subprocess(settings) -> subprocess.Popen:
    code = "import sys; from uninas.search import *; search(SearchConfig.model_validate_json(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, settings.model_dump_json()])


@pytest.mark.parametrize("threads", [1, 2])
def test_killed_and_resumed(config, tmp_path, threads):
    whole = search(config(out=tmp_path / "whole"))
    settings = config(threads=threads)
    process = run_in_subprocess(settings)
    wait_for_scores(settings.out, 5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = search(config(resume=True))
    assert essence(resumed) == essence(whole)
    assert contents(settings.out) == contents(tmp_path / "whole")


def wait_for_scores(folder, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        time.sleep(0.02)
        if not (folder / FILE).exists():
            continue
        db = sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)
        try:
            if db.execute("SELECT count(*) FROM scores").fetchone()[0] >= count:
                return
        except sqlite3.OperationalError:  # not there yet, or being written
            pass
        finally:
            db.close()
    raise TimeoutError


def test_resuming_a_finished_study_repeats_its_summary(config):
    first = search(config())
    again = search(config(resume=True))
    assert essence(first) == essence(again)


def test_a_changed_configuration_is_refused_with_the_difference(config):
    search(config())
    with pytest.raises(StudyError, match=r"configuration has changed.*\n  iterations: 6 in the study, 12 now"):
        search(config(resume=True, iterations=12))
    with pytest.raises(StudyError, match=r"seed: 0 in the study, 5 now"):
        search(config(resume=True, seed=5))
    search(config(resume=True, threads=2))  # does not change the result


def test_a_study_that_names_no_device_goes_on_where_it_was(config):
    settings = config()
    first = search(settings)
    db = sqlite3.connect(settings.out / FILE)
    (text,) = db.execute("SELECT value FROM meta WHERE name = 'config'").fetchone()
    stored = json.loads(text)
    assert stored.pop("device") == "cpu"
    with db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'config'", (json.dumps(stored),))
    db.close()
    assert essence(search(config(resume=True))) == essence(first)


def test_a_changed_space_file_is_refused(config, space_file, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(space_file.read_text())
    search(config(space=str(space)))
    space.write_text(space_file.read_text().replace("expansion: 8", "expansion: 6"))
    with pytest.raises(StudyError, match=r"space.limits.expansion: 8.0 in the study, 6.0 now"):
        search(config(space=str(space), resume=True))


def test_nothing_is_overwritten_without_force(config):
    settings = config()
    search(settings)
    before = contents(settings.out)
    with pytest.raises(StudyError, match=r"there is a study already; --resume continues it, --force replaces it"):
        search(config(seed=1))
    assert contents(settings.out) == before
    search(config(seed=1, force=True))
    assert contents(settings.out) != before


def test_results_without_a_study_are_not_overwritten(config):
    settings = config()
    settings.out.mkdir()
    (settings.out / "best.yaml").write_text("mine")
    with pytest.raises(StudyError, match=r"best.yaml is there already; --force"):
        search(settings)
    assert (settings.out / "best.yaml").read_text() == "mine"


def test_resume_without_a_study(config):
    with pytest.raises(StudyError, match="there is no study to resume"):
        search(config(resume=True))


@pytest.mark.parametrize(
    "damage", [b"not a database at all, but long enough to look at", b"SQLite format 3\0" + bytes(90)]
)
def test_a_file_that_is_not_a_study(config, damage):
    settings = config()
    settings.out.mkdir()
    (settings.out / FILE).write_bytes(damage)
    with pytest.raises(StudyError, match=r"study.sqlite: "):
        search(config(resume=True))


def test_another_database_is_not_a_study(config):
    settings = config()
    settings.out.mkdir()
    db = sqlite3.connect(settings.out / FILE)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(StudyError, match="is it a study"):
        search(config(resume=True))


def test_a_study_of_another_version(config):
    settings = config()
    search(settings)
    db = sqlite3.connect(settings.out / FILE)
    db.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    db.commit()
    db.close()
    with pytest.raises(StudyError, match="reads studies of version 1, this is 99"):
        search(config(resume=True))


def test_a_folder_that_cannot_be_written(config, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StudyError, match="cannot make the folder"):
        search(config(out=file / "run"))
    with pytest.raises(StudyError, match="cannot make the folder"):
        search(config(out=file))


def test_two_searches_in_one_folder(config):
    settings = config()
    settings.out.mkdir()
    lock = Lock(settings.out)
    with pytest.raises(StudyError, match="another process is searching"):
        search(settings)
    lock.release()
    search(settings)


def test_unknown_proxies_and_starts(config, tmp_path):
    with pytest.raises(ProxyError, match="did you mean 'vkdnw'"):
        search(config(proxy="vkdwn"))
    with pytest.raises(SpaceError, match="no start 'nope'"):
        search(config(start="nope"))
    assert not config().out.exists()


def test_a_start_from_a_file(config, tmp_path, coatnet):
    path = tmp_path / "mine.yaml"
    coatnet.save(path)
    summary = search(config(start=str(path), iterations=1))
    assert summary.start.key == coatnet.key
    assert not summary.start_shrunk
