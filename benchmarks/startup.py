"""Seconds until a command answers: every `--help`, and the commands that compute nothing with tensors.

    python benchmarks/startup.py [--repeats 5]

Each is the median of several processes, in turns with `python -c pass`, which shows what the machine is busy with.
"""

from __future__ import annotations

import argparse
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


def seconds(words: list[str]) -> float:
    """Of one process that runs `words`."""
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        helps = [(*words, "--help") for words in ((), *commands(get_command(app)))]
        rows = [*helps, *torch_free(Path(folder))]
        plain, found = [], {words: [] for words in rows}
        for words in rows:
            for _ in range(repeats):
                plain.append(seconds([sys.executable, "-c", "pass"]))
                found[words].append(seconds([sys.executable, "-m", "uninas", *words]))
            shown = " ".join("..." if word.startswith(folder) else word for word in words)
            print(f"{statistics.median(found[words]):6.2f} s  uninas {shown.replace(str(STUDY), 'STUDY')}", flush=True)
    print(f"{statistics.median(plain):6.2f} s  python -c pass")
    slowest = max((statistics.median(found[words]), " ".join(words)) for words in helps)
    print(f"slowest help: {slowest[0]:.2f} s, uninas {slowest[1]}")


if __name__ == "__main__":
    main()
