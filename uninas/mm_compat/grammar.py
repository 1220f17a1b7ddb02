"""yapf, which mmengine imports, survives several processes that import it for the first time on a machine.

yapf 0.43 keeps a pickle of Python's grammar in the user's cache folder. It gives the file its name before all of it
is written, so a process that comes a moment later, such as a second one of torchrun, reads half of it and ends with
an EOFError. Whoever comes second has only to wait.
"""

from __future__ import annotations

import pickle
import time
from importlib import import_module
from importlib.util import find_spec

from .errors import CompatError

PATIENCE = 10.0
"""Seconds after which a half file is taken for one that a killed process left."""
PAUSE = 0.1


def import_yapf(patience: float = PATIENCE) -> None:
    """Import yapf, if it is installed, and wait while another process writes what it reads.

    Raises:
        CompatError: what yapf reads is still half a file after `patience` seconds.
    """
    if find_spec("yapf") is None:
        return
    until = time.monotonic() + patience
    while True:
        try:
            import_module("yapf")
        except (EOFError, pickle.UnpicklingError) as problem:
            if time.monotonic() > until:
                raise CompatError(
                    f"yapf, which mmengine needs, cannot read the grammar that it keeps: {problem}; "
                    "delete the folder YAPF in your cache folder (~/.cache/YAPF on Linux)"
                ) from problem
        else:
            return
        time.sleep(PAUSE)
