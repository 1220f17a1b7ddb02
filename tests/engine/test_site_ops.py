"""Tools that know nothing of uninas find mmcv's operators once they are installed for a whole environment."""

import subprocess
import sys

import pytest

from uninas.engine import site_ops
from uninas.engine.errors import EngineError


def test_install_and_remove(tmp_path):
    assert not site_ops.installed(tmp_path)
    assert all(path.is_file() for path in site_ops.install(tmp_path))
    assert site_ops.installed(tmp_path)
    assert len(site_ops.remove(tmp_path)) == 2 and site_ops.remove(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(EngineError, match="cannot be written"):
        site_ops.install(tmp_path / "missing")


@pytest.mark.parametrize("there", [True, False])
def test_mmdet_is_imported_without_uninas(tmp_path, there):
    pytest.importorskip("mmdet")
    from uninas.engine import mmcv_ops

    if mmcv_ops.compiled():
        pytest.skip("this mmcv has its own operators")
    if site_ops.installed():
        pytest.skip("installed in the environment that runs the tests")
    if there:
        site_ops.install(tmp_path)
    # What Python does on start with the `.pth` files of site-packages.
    code = f"import site; site.addsitedir({str(tmp_path)!r}); import mmcv.ops; import sys"
    code += "; from uninas.engine import mmcv_ops; assert not mmcv_ops.compiled()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode == 0) == there, done.stderr
    if not there:
        assert "No module named 'mmcv._ext'" in done.stderr
