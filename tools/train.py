"""Trains a genotype: `uninas train` as a script, also for torchrun. `--help` lists the options."""

import sys

from uninas.cli import app, run
from uninas.cli.overrides import spread

if __name__ == "__main__":
    run(app, spread(["train", *sys.argv[1:]]))
