"""Races over studies: results beside the scores, going on after kill -9, and one that really trains."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mmengine")

from engine.test_idx import write
from engine.trainings import MadeUp
from search.conftest import tiny_space
from search.fakes import HashScorer

from uninas import Genotype
from uninas.engine.errors import EngineError
from uninas.engine.race import RaceConfig, race
from uninas.engine.race.run import PHASE
from uninas.errors import StudyError
from uninas.search import SearchConfig, Study, search

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A search that has ended, its networks small enough to train."""
    import yaml

    folder = tmp_path_factory.mktemp("study")
    (folder / "space.yaml").write_text(yaml.safe_dump(tiny_space()))
    plain = {"out": folder / "run", "space": str(folder / "space.yaml"), "start": "coatnet", "iterations": 12}
    short = {"proxy": "naswot", "workers": 1, "leader_repeats": 2, "fresh_repeats": 2, "leaders": 2, "tidy": False}
    search(SearchConfig.parse({**plain, **short}), scorer=HashScorer())
    return folder / "run"


@pytest.fixture
def study(finished, tmp_path) -> Path:
    """A copy of it."""
    import shutil

    return Path(shutil.copytree(finished, tmp_path / "run"))


def settings(*studies: Path, **changes) -> RaceConfig:
    plain = {"studies": studies, "protocol": "tiny_fashion", "data_root": "nowhere", "top": 8, "workers": 1}
    return RaceConfig.parse({**plain, **changes})


def run(config: RaceConfig, out: Path | None = None, **made_up):
    return race(config, out, scorer=lambda epochs: MadeUp(**made_up))


def essence(result) -> dict:
    return {epochs: [(s.key, s.results, s.reason) for s in found] for epochs, found in result.rounds.items()}


def test_fewer_train_longer_and_the_best_wins(study):
    found = run(settings(study))
    assert list(found.rounds) == [1, 3, 9]
    first, *others = (len(standings) for standings in found.rounds.values())
    assert first in (8, 9) and others == [3, 2]  # 9 where the start is not among the 8 best
    for standings in found.rounds.values():
        assert [s.mean for s in standings] == sorted((s.mean for s in standings), reverse=True)
    assert Genotype.load(study / "best.yaml").key == found.winner.key
    assert json.loads((study / "race.json").read_text())["rounds"]["9"][0]["key"] == found.winner.key
    assert any(s.is_start for s in found.rounds[1])


def test_what_the_search_found_is_kept(study):
    before = (study / "best.yaml").read_text()
    run(settings(study))
    run(settings(study, top=4))
    assert (study / "best_by_score.yaml").read_text() == before


def test_what_a_later_search_finds_takes_the_place_of_the_earlier(study):
    run(settings(study))
    later = Genotype.load(study / "best_by_score.yaml")
    with Study.open(study) as reader:
        winner = Genotype.load(study / "best.yaml").key
        taken = {later.key, winner}
        later = next(g for row in reader.rows() if (g := reader.genotype(row.id)).key not in taken)
    later.save(study / "best.yaml")  # as a search that was resumed writes it
    run(settings(study))
    assert Genotype.load(study / "best_by_score.yaml").key == later.key
    assert Genotype.load(study / "best.yaml").key == winner


def test_results_stand_beside_the_scores(study):
    found = run(settings(study))
    with Study.open(study) as reader:
        rows = reader.scores(PHASE)
        assert len(rows) == found.trainings
        assert {row.metric for row in rows} == {f"top1@tiny_fashion:{epochs}" for epochs in (1, 3, 9)}
        assert reader.best(1)[0].candidate.key  # scores are read as before


def test_nothing_is_trained_twice(study, tmp_path):
    first = run(settings(study))
    again = run(settings(study))
    assert again.trainings == 0 and essence(again) == essence(first)
    more = run(settings(study, top=10))
    assert 0 < more.trainings < first.trainings


def test_two_workers_change_nothing(study, tmp_path):
    import shutil

    other = Path(shutil.copytree(study, tmp_path / "other"))
    assert essence(run(settings(study))) == essence(run(settings(other, workers=2)))


def test_close_ones_are_trained_again(study):
    found = run(settings(study, repeats=3))
    assert max(len(s.results) for s in found.rounds[9]) <= 3
    once = run(settings(study, repeats=1))
    assert all(len(s.results) == 1 for standings in once.rounds.values() for s in standings)


def test_failed_trainings_are_out_and_say_why(study):
    found = run(settings(study), failing=0.4)
    failed = [s for s in found.rounds[1] if s.mean is None]
    assert failed and all(s.reason == "diverged: made up" for s in failed)
    assert not {s.key for s in failed} & {s.key for s in found.rounds[3]}


def test_where_nothing_can_be_trained(study):
    before = (study / "best.yaml").read_text()
    with pytest.raises(EngineError, match=r"none of . networks could be trained: diverged: made up"):
        run(settings(study), failing=1.0)
    assert (study / "best.yaml").read_text() == before


def test_what_took_too_long_is_trained_again_by_the_next_race(study, tmp_path):
    import shutil

    whole = run(settings(Path(shutil.copytree(study, tmp_path / "whole"))))
    with pytest.raises(EngineError, match=r"none of . networks could be trained: timed out: made up"):
        run(settings(study), late=1.0)
    some = run(settings(study), late=0.5)
    assert {s.reason for s in some.rounds[1]} == {None, "timed out: made up"}
    assert essence(run(settings(study))) == essence(whole)
    with Study.open(study) as reader:
        assert not [row for row in reader.failures() if row.phase == PHASE]


def test_a_network_that_diverged_is_not_trained_again(study):
    first = run(settings(study), failing=0.4)
    again = run(settings(study))
    assert again.trainings == 0 and essence(again) == essence(first)


def test_where_the_winner_cannot_be_written_nothing_is_trained(study, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"file: cannot make the folder: .*; choose another --out"):
        run(settings(study), tmp_path / "file")
    with Study.open(study) as opened:
        assert not any(row[2] == PHASE for row in opened.all_measurements())


def test_where_the_report_cannot_be_written_the_trainings_are_kept(study):
    (study / "race.json").mkdir()
    with pytest.raises(StudyError, match=r"race\.json: cannot write: Is a directory"):
        run(settings(study))
    (study / "race.json").rmdir()
    assert run(settings(study)).trainings == 0


def test_several_studies_share_the_field(study, finished, tmp_path):
    import shutil

    other = Path(shutil.copytree(finished, tmp_path / "other"))
    with pytest.raises(StudyError, match="--out"):
        run(settings(study, other))
    found = run(settings(study, other, top=6), tmp_path / "out")
    assert (tmp_path / "out" / "best.yaml").is_file()
    assert found.winner.study in (str(study), str(other))
    assert len({s.key for s in found.rounds[1]}) == len(found.rounds[1])


def test_another_form_of_the_protocol_is_refused(study):
    run(settings(study))
    with pytest.raises(StudyError, match="another form of tiny_fashion"):
        run(settings(study, changes={"batch_size": 10}))


def test_a_setting_of_protocols_that_is_new_has_its_default_in_older_races(study):
    from uninas.engine import protocol as protocols

    run(settings(study))
    protocol = protocols.load("tiny_fashion").model_dump(mode="json")
    assert protocol.pop("val_every") == type(protocols.load("tiny_fashion")).model_fields["val_every"].default
    with Study.open(study) as reader:
        before = reader.settings
    with Study.resume(study, before) as opened:
        opened.set_meta({"race_protocols": {"tiny_fashion": protocol}})
    assert run(settings(study)).trainings == 0


def test_another_seed_is_refused_and_the_same_goes_on(study):
    run(settings(study, seed=3), seed=3)
    with pytest.raises(
        StudyError, match=r"run: its results of top1@tiny_fashion:. are of seed 3, not 7: give --seed 3, or"
    ):
        run(settings(study, seed=7), seed=7)
    assert run(settings(study, seed=3), seed=3).trainings == 0


def test_other_data_are_refused_while_the_earlier_are_there(study, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    run(settings(study, data_root=first))
    with pytest.raises(
        StudyError, match=r"run: was raced on the data in .*/first, not .*/second: give that folder, or"
    ):
        run(settings(study, data_root=second))
    first.rmdir()  # it has moved
    assert run(settings(study, data_root=second)).trainings == 0
    first.mkdir()
    with pytest.raises(StudyError, match=r"/second, not .*/first"):
        run(settings(study, data_root=first))


def test_a_race_that_has_no_results_yet_binds_to_nothing(study, tmp_path):
    with pytest.raises(EngineError, match="timed out"):
        run(settings(study, data_root=tmp_path), late=1.0)
    other = tmp_path / "other"
    other.mkdir()
    run(settings(study, data_root=other, seed=7, changes={"batch_size": 10}), seed=7)


def test_a_folder_without_a_study(tmp_path):
    with pytest.raises(StudyError, match=r"study\.sqlite"):
        run(settings(tmp_path))


def test_killed_and_resumed(study, tmp_path):
    import shutil

    whole = run(settings(Path(shutil.copytree(study, tmp_path / "whole"))))
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from engine.trainings import MadeUp; "
        "from uninas.engine.race import RaceConfig, race; "
        "race(RaceConfig.model_validate_json(sys.argv[1]), scorer=lambda epochs: MadeUp(seconds=.2))"
    )
    config = settings(study)
    command = [sys.executable, "-W", "ignore", "-c", code, config.model_dump_json(), str(ROOT / "tests")]
    kills = 0
    for rows in (2, 7):
        process = subprocess.Popen(command, start_new_session=True)
        while process.poll() is None:
            with Study.open(study) as reader:
                if len(reader.scores(PHASE)) > rows:
                    break
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    resumed = run(config)
    assert 0 < resumed.trainings < whole.trainings
    assert essence(resumed) == essence(whole)


def test_a_race_that_really_trains(study, tmp_path):
    write(tmp_path / "data", "train", count=60)
    write(tmp_path / "data", "t10k", count=30)
    command = [sys.executable, "-W", "ignore", "-c", "from uninas.cli import main; main()", "race", str(study)]
    how = ["--protocol", "tiny_fashion", "--data-root", str(tmp_path / "data"), "--workers", "1", "--repeats", "1"]
    small = ["--top", "2", "--rungs", "1,2", "--set", "batch_size=20"]
    done = subprocess.run([*command, *how, *small, "--json"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found["rounds"]) == ["1", "2"] and found["metric"] == "top1@tiny_fashion:2"
    assert all(0 <= s["mean"] <= 100 for standings in found["rounds"].values() for s in standings)
    assert Genotype.load(study / "best.yaml").key == found["rounds"]["2"][0]["key"]
    wrong = subprocess.run([*command, *how, "--rungs", "3,1"], capture_output=True, text=True, timeout=600)
    assert wrong.returncode == 2 and "rungs" in wrong.stderr and "Traceback" not in wrong.stderr
