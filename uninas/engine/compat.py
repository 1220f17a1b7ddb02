"""Everything that lets mmengine 0.10, mmcv 2.1, mmdet 3.3 and mmseg 1.2 work beside a current torch, in one place.

`prepare()` is called by `uninas.engine.registered`, which every config of ours names in `custom_imports`: that is
early enough, also in mmdet's and mmseg's own runners. Each measure is a no-op where it is not needed.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import MutableMapping, MutableSequence
from typing import Any

import torch

from . import mmcv_ops
from .errors import EngineError

SILENCED = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    "`reduce_zero_label` will be deprecated",
    "Default ``avg_non_ignore`` is False",
    "``build_loss`` would be deprecated",
    "The prefix is not set in metric class",
    "'pin_memory' argument is set as true but no accelerator is found",
)
"""How the messages start that every run would print and that no user can act on."""


def prepare() -> None:
    """Make the installed OpenMMLab packages usable. Safe to call more than once."""
    mmcv_ops.install()
    allow_checkpoint_types()
    silence()


def allow_checkpoint_types() -> None:
    """Let `torch.load` read mmengine's own checkpoints while it keeps refusing everything unsafe.

    Besides tensors they hold numpy arrays and mmengine's `HistoryBuffer`. torch >= 2.6 loads with
    `weights_only=True` and refuses types that it was not told of.
    """
    import numpy as np
    from mmengine.logging.history_buffer import HistoryBuffer

    multiarray = np._core.multiarray if hasattr(np, "_core") else np.core.multiarray  # type: ignore[attr-defined]
    reconstruct, scalar = multiarray._reconstruct, multiarray.scalar
    dtypes = {type(np.dtype(code)) for code in ("?", "b", "B", "h", "H", "i", "I", "l", "L", "f", "d", "q", "Q", "e")}
    # Checkpoints written under numpy 1 name `numpy.core`, those under numpy 2 `numpy._core`; both must resolve.
    named = [
        (function, f"{module}.multiarray.{function.__name__}")
        for function in (reconstruct, scalar)
        for module in ("numpy.core", "numpy._core")
    ]
    # A HistoryBuffer's pickle names its own methods through getattr, which must never be allowed as such.
    named.append((_method_of_history_buffer, "builtins.getattr"))
    torch.serialization.add_safe_globals([HistoryBuffer, np.ndarray, np.dtype, *dtypes, *named])


def _method_of_history_buffer(owner: object, name: str) -> Any:
    """All that a checkpoint may look up by name: the statistics that mmengine's HistoryBuffer registers."""
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
        raise EngineError(
            f"the checkpoint asks for attribute {name!r} of {owner!r}, which no training run writes; "
            "it is not loaded because it could run code of its author"
        )
    return getattr(owner, name)


def silence() -> None:
    """Drop the warnings of `SILENCED`, whether raised as Python warnings or written to mmengine's log."""
    from mmengine.logging import MMLogger

    for start in SILENCED:
        warnings.filterwarnings("ignore", message=re.escape(start))

    # A filter on the class, since every Runner makes its own logger and some of these come while it is being built.
    def keeps(self: logging.Logger, record: logging.LogRecord) -> Any:
        return not record.getMessage().startswith(SILENCED) and logging.Logger.filter(self, record)

    MMLogger.filter = keeps  # type: ignore[method-assign]


def init_distributed(cfg: Any, launcher: str) -> None:
    """Prepare `cfg` and the process group for a run over several processes on machines without a GPU.

    mmengine sets up CUDA devices whatever the backend. A gloo group that exists before the Runner is built is used
    as it is, and a wrapper without device ids keeps DDP on the CPU. With CUDA nothing is changed.

    Args:
        cfg: a mapping, such as mmengine's Config; changed in place.

    Raises:
        EngineError: the launcher's environment variables are missing, or SLURM was asked for on a CPU.
    """
    if launcher == "none" or torch.cuda.is_available():
        return
    if launcher != "pytorch":
        raise EngineError(f"--launcher {launcher} needs GPUs; on CPUs start with torchrun and --launcher pytorch")
    missing = [name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR") if name not in os.environ]
    if missing:
        raise EngineError(
            f"--launcher pytorch was given but {', '.join(missing)} is not set: "
            "start with `torchrun --nproc_per_node=2 tools/train.py --launcher pytorch ...`"
        )
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    cfg["model_wrapper_cfg"] = {
        "type": "MMDistributedDataParallel",
        "device_ids": None,
        "broadcast_buffers": False,
        "find_unused_parameters": cfg.get("find_unused_parameters", False),
    }
    cfg.pop("sync_bn", None)
    replace_sync_bn(cfg)


def replace_sync_bn(cfg: Any) -> None:
    """Turn every `SyncBN` of a config into `BN`, in place: torch has SyncBatchNorm on GPUs only."""
    if isinstance(cfg, MutableMapping):
        if cfg.get("type") == "SyncBN":
            cfg["type"] = "BN"
        for value in cfg.values():
            replace_sync_bn(value)
    elif isinstance(cfg, (MutableSequence, tuple)):
        for value in cfg:
            replace_sync_bn(value)
