"""`uninas mm`: the tools of mmdet and mmseg."""

import subprocess
import sys

import pytest

pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

from uninas.mm_compat import CompatError
from uninas.mm_compat.stock import run_tool, tool_of


def test_mmdet_alone_does_not_import_and_with_the_adaptation_it_does():
    from uninas.mm_compat import operators

    if operators.compiled():
        pytest.skip("this mmcv has its own operators")
    for prepared in (False, True):
        code = "from uninas import mm_compat; mm_compat.prepare(); " if prepared else ""
        done = subprocess.run([sys.executable, "-c", f"{code}import mmdet.models"], capture_output=True, text=True)
        assert (done.returncode == 0) == prepared, done.stderr


def test_the_tools_come_from_the_package_of_the_config(tmp_path, monkeypatch):
    (tmp_path / "c.py").write_text("default_scope = 'mmseg'")
    ran = []
    monkeypatch.setattr("runpy.run_path", lambda path, run_name: ran.append((path, run_name, list(sys.argv))))
    monkeypatch.setattr(sys, "argv", ["uninas"])
    run_tool("train", tmp_path / "c.py", ["--resume"])
    script = str(tool_of("mmseg", "train"))
    assert ran == [(script, "__main__", [script, str(tmp_path / "c.py"), "--resume", "--launcher", "none"])]


def test_configs_of_something_else(tmp_path):
    (tmp_path / "c.py").write_text("default_scope = 'mmpose'")
    with pytest.raises(CompatError, match="default_scope is 'mmpose'"):
        run_tool("train", tmp_path / "c.py", [])
    with pytest.raises(CompatError, match="cannot be read as a config"):
        run_tool("test", tmp_path / "none.py", [])
