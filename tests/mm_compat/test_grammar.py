"""Half of yapf's cache file, as a second process sees it while the first writes it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("yapf")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no variable moves the cache folder of yapf")


def python(code: str, cache: Path) -> subprocess.Popen:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache)}
    return subprocess.Popen([sys.executable, "-c", code], text=True, stderr=subprocess.PIPE, env=env)


@pytest.fixture
def cached(tmp_path) -> list[Path]:
    """What a first import keeps."""
    assert python("import yapf", tmp_path).wait() == 0
    files = list(tmp_path.rglob("*.pickle"))
    assert files
    return files


def test_a_process_waits_until_another_has_written_it(tmp_path, cached):
    whole = {file: file.read_bytes() for file in cached}
    for file, content in whole.items():
        file.write_bytes(content[: len(content) // 2])
    alone = python("import yapf", tmp_path)
    assert "Error" in alone.communicate()[1] and alone.returncode != 0  # what it is there for

    def finish() -> None:
        time.sleep(1)
        for file, content in whole.items():
            file.write_bytes(content)

    code = "from uninas.mm_compat.grammar import import_yapf\nimport_yapf(60)\n"
    code += "from yapf.yapflib.yapf_api import FormatCode\nassert FormatCode('a=1')[0] == 'a = 1\\n'"
    waiting = python(code, tmp_path)
    writer = threading.Thread(target=finish)
    writer.start()
    assert waiting.communicate()[1] == "" and waiting.returncode == 0
    writer.join()


def test_what_a_killed_process_left_is_named(tmp_path, cached):
    for file in cached:
        file.write_bytes(b"")
    left = python("from uninas.mm_compat import import_yapf\nimport_yapf(0.1)", tmp_path)
    assert "CompatError" in (told := left.communicate()[1]) and "delete the folder YAPF" in told
