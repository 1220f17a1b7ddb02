"""Writes a genotype as a config for stock mmdet or mmseg: `uninas export-backbone` as a script."""

import sys

from uninas.cli import app, run
from uninas.cli.overrides import spread

if __name__ == "__main__":
    run(app, spread(["export-backbone", *sys.argv[1:]]))
