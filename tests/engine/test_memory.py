"""Freed memory is kept: large tensors soon touch no page that the kernel would have to clear."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from uninas.engine.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        tensors = [torch.ones(10 << 20) for _ in range(3)]  # 40 MiB each
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert keep_freed_memory() if sys.argv[1] == "kept" else True
print([faults() for _ in range(5)][-1])  # where the blocks come to lie settles by the second or third time
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is of Linux")
def test_large_tensors_are_not_cleared_anew():
    pages = 9 * (40 << 20) // 4096
    assert faults("plain") > pages / 20  # pages may be huge ones
    assert faults("kept") < pages / 100
