"""A worker process: reads a task from each line of its standard input, writes a score to each line of its output.

It ends when its input ends, and so with the search that started it, however that ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict

import torch

from ..genotype import Genotype
from .scoring import Scorer


def main() -> None:
    """Runs the worker; the only argument is a `Scorer` as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search, which then ends this process
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    torch.set_num_threads(1)
    settings = json.loads(sys.argv[1])
    scorer = Scorer(**{**settings, "size": tuple(settings["size"])})
    for line in sys.stdin:
        task = json.loads(line)
        score = scorer.score(Genotype.from_dict(task["genotype"]), task["phase"], task["repeat"])
        answers.write(json.dumps(asdict(score)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
