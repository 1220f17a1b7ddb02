"""Ranks trained networks with training-free proxies: `uninas rank` as a script. `--help` lists the options."""

import sys

from uninas.cli import app, run

if __name__ == "__main__":
    run(app, ["rank", *sys.argv[1:]])
