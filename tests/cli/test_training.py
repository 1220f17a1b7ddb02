"""The commands around training, typed wrongly: one line that says what to do, exit code 2 for bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mmengine")

from uninas.cli.overrides import spread

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from uninas.cli import main; main()"


def command(*arguments: str, code: str = MAIN) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)


TRAIN = ("train", "coatnet", "--data-root", "nowhere", "--protocol")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("protocol", "show", "imagenett"), 2, "did you mean 'imagenet'?"),
        (("protocol", "show", "imagenet", "--set", "optimizer.lrr=1"), 2, "optimizer.lrr: unknown key; did you mean"),
        (("protocol", "show", "imagenet", "none.yaml"), 2, "none.yaml: there is no such file, and no network"),
        (("data", "make", "tiny-cocoo", "x"), 2, "did you mean 'tiny-coco'?"),
        (("data", "check", "tiny_coco", "nowhere"), 2, "--data-root nowhere: there is no such folder"),
        ((*TRAIN, "tiny_digits"), 2, "--data-root nowhere: there is no such folder"),
        ((*TRAIN, "tiny_digits", "--pretrained", "none.pth"), 1, "none.pth: there is no such checkpoint"),
        ((*TRAIN, "tiny_digits", "--launcher", "pytorch"), 1, "start the script with torchrun"),
        (("predict", "none.pth", "x.jpg"), 1, "none.pth: there is no such checkpoint"),
        (("mm", "train", "none.py"), 1, "none.py: cannot be read as a config"),
        (("export-backbone", "coatnet", "--to", "mmdett", "--out", "x"), 2, "did you mean 'mmdet'?"),
        (("export-backbone", "coatnet", "--to", "mmseg", "--framework", "mask_rcnn", "--out", "x"), 2, "mmseg has no"),
    ],
)
def test_wrong_usage(arguments, code, told):
    done = command(*arguments)
    assert done.returncode == code and told in done.stderr, done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_without_the_extra_the_remedy_is_named():
    """Whatever needs mmengine says what to install; the rest works."""
    block = "import sys; sys.modules['mmengine'] = None\n"
    done = command("protocol", "show", "imagenet", code=block + MAIN)
    assert done.returncode == 1 and 'pip install "uninas-toolkit[mm]"' in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert command("cost", "coatnet", code=block + MAIN).returncode == 0


def test_protocols_are_listed_and_printed():
    listed = command("protocol", "list").stdout
    assert "coco_mask_rcnn" in listed and "tiny_digits" in listed
    shown = command("protocol", "show", "imagenet", "--processes", "8", "--json", "--cfg-options", "log_level=ERROR")
    cfg = json.loads(shown.stdout)
    assert cfg["optim_wrapper"]["optimizer"]["lr"] == 8e-4 and cfg["log_level"] == "ERROR"


def test_what_follows_the_config_is_for_the_tool(monkeypatch):
    from typer.testing import CliRunner

    from uninas.cli import app

    ran = []
    monkeypatch.setattr("uninas.mm_compat.stock.run_tool", lambda *arguments: ran.append(arguments))
    words = ["mm", "test", "c.py", "w.pth", "--cfg-options", "a=1", "b=2", "--help"]
    assert CliRunner().invoke(app, spread(words)).exit_code == 0
    assert ran == [("test", Path("c.py"), words[3:])]


def test_options_spread_as_openmmlab_users_write_them():
    words = ["--set", "a=1", "b=[2, 3]", "--amp", "--cfg-options", "c.d=4", "--json", "x=5"]
    expected = ["--set", "a=1", "--set", "b=[2, 3]", "--amp", "--cfg-options", "c.d=4", "--json", "x=5"]
    assert spread(words) == expected
