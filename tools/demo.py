"""The whole way on small data: `uninas demo` as a script. `--help` lists the options."""

import sys

from uninas.cli import app, run

if __name__ == "__main__":
    run(app, ["demo", *sys.argv[1:]])
