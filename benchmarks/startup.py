"""Seconds until a command answers: every `--help`, and the commands that compute nothing with tensors.

    python benchmarks/startup.py [--repeats 5]

Each is the median of several processes, in turns with `python -c pass`: seconds by the clock, and seconds that the
process was on a CPU, which hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from uninas.cli import app

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "tests" / "search" / "assets" / "study_v1"


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that call each command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name)


def torch_free(folder: Path) -> list[tuple[str, ...]]:
    """Commands that answer without torch."""
    return [
        ("--version",),
        ("show", "coatnet"),
        ("cost", "coatnet"),
        ("validate", "coatnet"),
        ("diff", "coatnet", "resnet"),
        ("draw", "coatnet", "--out", str(folder / "coatnet.svg"), "--force"),
        ("study", str(STUDY)),
        ("report", str(STUDY), "--out", str(folder / "report.html")),
        ("protocol", "list"),
    ]


def seconds(words: list[str]) -> tuple[float, float]:
    """By the clock and on a CPU, of one process that runs `words`."""
    began, before = time.perf_counter(), _on_cpu()
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return time.perf_counter() - began, _on_cpu() - before


def _on_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def told(found: list[tuple[float, float]]) -> str:
    """Both medians."""
    clock, cpu = (statistics.median(times) for times in zip(*found))
    return f"{clock:6.2f} s  {cpu:6.2f} s on a CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        helps = [(*words, "--help") for words in ((), *commands(get_command(app)))]
        rows = [*helps, *torch_free(Path(folder))]
        plain: list[tuple[float, float]] = []
        slowest = 0.0
        for words in rows:
            found = []
            for _ in range(repeats):
                plain.append(seconds([sys.executable, "-c", "pass"]))
                found.append(seconds([sys.executable, "-m", "uninas", *words]))
            if words in helps:
                slowest = max(slowest, statistics.median(cpu for _, cpu in found))
            shown = " ".join("..." if word.startswith(folder) else word for word in words)
            print(f"{told(found)}  uninas {shown.replace(str(STUDY), 'STUDY')}", flush=True)
    print(f"{told(plain)}  python -c pass")
    print(f"slowest help: {slowest:.2f} s on a CPU")


if __name__ == "__main__":
    main()
