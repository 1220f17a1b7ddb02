"""kill -9 of whole searches at random moments: each resumed study beside the uninterrupted one.

    python benchmarks/kill_matrix.py                # 30 moments for each strategy and number of workers

Scores are made up and take some milliseconds, so that kills fall into every part of a search: between two writes, while
workers start, in the competition of the leaders. A kill hits the whole process group, workers included; the search is
then resumed, killed again at another moment, and so on until it finishes. Equal means: candidate by candidate, score by
score, and the same best network and summary.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from search.conftest import tiny_space  # noqa: E402  # pyright: ignore[reportMissingImports]
from search.fakes import HashScorer  # noqa: E402  # pyright: ignore[reportMissingImports]
from search.studies import contents, essence, options  # noqa: E402  # pyright: ignore[reportMissingImports]

from uninas.search import SearchConfig, Summary, search  # noqa: E402  # pyright: ignore[reportMissingImports]

RUN = """
import sys; sys.path.insert(0, sys.argv[2])
from uninas.search import *; from search.fakes import HashScorer
search(SearchConfig.model_validate_json(sys.argv[1]), scorer=HashScorer(failing=.1, seconds=.01))
"""


def settings(folder: Path, strategy: str, **changes: object) -> SearchConfig:
    """A search of some seconds."""
    space = folder.parent / "space.yaml"
    if not space.exists():
        space.write_text(yaml.safe_dump(tiny_space()))
    plain = {
        "out": folder,
        "space": str(space),
        "start": "coatnet",
        "iterations": 30,
        "generation": 4,
        "proxy": "naswot",
    }
    small = {
        "iterations": 30,
        "generation": 4,
        "fresh_repeats": 2,
        "leader_repeats": 2,
        "leaders": 2,
        "max_repeats": 2,
        "workers": 1,
    }
    return SearchConfig.parse({**plain, **small, **options(strategy), **changes})


def killed_and_resumed(folder: Path, strategy: str, workers: int, seconds: float, rng: random.Random) -> int:
    """Runs a search, killing it after random times of up to `seconds`, until it finishes; returns the kills."""
    for kills in range(1000):
        resume = (folder / "study.sqlite").exists() and (folder / "study.sqlite").stat().st_size > 0
        config = settings(folder, strategy, workers=workers, resume=resume, force=not resume)
        command = [sys.executable, "-W", "ignore", "-c", RUN, config.model_dump_json(), str(ROOT / "tests")]
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.wait(rng.uniform(0, seconds) if kills < 3 else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            continue
        if process.returncode:
            raise SystemExit(process.stderr.read().decode())  # type: ignore[union-attr]
        return kills
    raise SystemExit("never finished")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--strategies", nargs="+", default=["walk", "evolution", "random", "pareto"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    args = parser.parse_args()
    print(f"{'strategy':12}{'workers':>8}{'kills':>8}{'unequal':>9}{'s':>8}")
    unequal = 0
    for strategy in args.strategies:
        with tempfile.TemporaryDirectory() as folder:
            whole = search(settings(Path(folder, "whole"), strategy), scorer=HashScorer(failing=0.1, seconds=0.01))
            expected = contents(Path(folder, "whole"))
            for workers in args.workers:
                rng, kills, wrong, number, start = random.Random(f"{strategy}{workers}"), 0, 0, 0, time.monotonic()
                while kills < args.moments:
                    out = Path(folder, f"{workers}-{number}")
                    number += 1
                    kills += killed_and_resumed(out, strategy, workers, 9.0, rng)
                    found = Summary.model_validate_json((out / "summary.json").read_text())
                    wrong += contents(out) != expected or essence(found) != essence(whole)
                print(f"{strategy:12}{workers:8}{kills:8}{wrong:9}{time.monotonic() - start:8.0f}", flush=True)
                unequal += wrong
    sys.exit(1 if unequal else 0)


if __name__ == "__main__":
    main()
