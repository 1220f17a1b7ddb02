"""`python -m uninas.timm SCRIPT ...`: a script of timm's, such as its train.py, to which `--model uninas` is known."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from . import TIMM_NAMES


def main() -> None:
    """Runs the script that is named first, with the rest of the command line."""
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_file():
        given = f"there is no script {sys.argv[1]}" if len(sys.argv) > 1 else "give a script"
        names = ", ".join(["uninas", *TIMM_NAMES])
        print(f"error: {given}: python -m uninas.timm train.py --model MODEL ...; MODEL: {names}", file=sys.stderr)
        sys.exit(2)
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)  # as for a script that is run itself
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
