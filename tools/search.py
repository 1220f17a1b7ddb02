"""Searches a backbone: `uninas search` as a script. `python tools/search.py --help` lists the options."""

import sys

from uninas.cli import app, run

if __name__ == "__main__":
    run(app, ["search", *sys.argv[1:]])
