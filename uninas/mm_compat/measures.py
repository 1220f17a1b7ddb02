"""What one call of `prepare` does: operators for an mmcv without any, checkpoints that load, fewer warnings."""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any

import torch

from . import operators
from .errors import CompatError
from .grammar import import_yapf

SILENCED = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    "`reduce_zero_label` will be deprecated",
    "Default ``avg_non_ignore`` is False",
    "``build_loss`` would be deprecated",
    "The prefix is not set in metric class",
    "'pin_memory' argument is set as true but no accelerator is found",
    "The draw is False, it means that the hook for visualization will not take effect",
)
"""How the messages start that every run would print and that no user can act on."""


def prepare() -> None:
    """Make the installed OpenMMLab packages usable. Safe to call more than once."""
    import_yapf()
    operators.install()
    allow_checkpoint_types()
    for start in SILENCED:
        warnings.filterwarnings("ignore", message=re.escape(start))


def is_worth_logging(record: logging.LogRecord) -> bool:
    """A filter for a run's own logger, into which mmengine writes some of the warnings that are `SILENCED`."""
    return not record.getMessage().startswith(SILENCED)


def allow_checkpoint_types() -> None:
    """Let `torch.load` read mmengine's own checkpoints while it keeps refusing everything unsafe.

    Besides tensors they hold numpy arrays and mmengine's `HistoryBuffer`. torch >= 2.6 loads with
    `weights_only=True` and refuses types that it was not told of.
    """
    import numpy as np
    from mmengine.logging.history_buffer import HistoryBuffer

    multiarray = np._core.multiarray if hasattr(np, "_core") else np.core.multiarray  # type: ignore[attr-defined]
    dtypes = {type(np.dtype(code)) for code in "?bBhHiIlLfdqQe"}
    # Checkpoints written under numpy 1 name `numpy.core`, those under numpy 2 `numpy._core`; both must resolve.
    named: list[Any] = [
        (getattr(multiarray, function), f"{module}.multiarray.{function}")
        for function in ("_reconstruct", "scalar")
        for module in ("numpy.core", "numpy._core")
    ]
    # A HistoryBuffer's pickle names its own methods through getattr, which must never be allowed as such.
    named.append((_method_of_history_buffer, "builtins.getattr"))
    torch.serialization.add_safe_globals([HistoryBuffer, np.ndarray, np.dtype, *dtypes, *named])


def _method_of_history_buffer(owner: object, name: str) -> Any:
    """All that a checkpoint may look up by name: the statistics that mmengine's HistoryBuffer registers."""
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
        raise CompatError(
            f"the checkpoint asks for attribute {name!r} of {owner!r}, which no training run writes; "
            "it is not loaded because it could run code of its author"
        )
    return getattr(owner, name)
