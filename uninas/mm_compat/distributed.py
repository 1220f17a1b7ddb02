"""Several processes on machines without a GPU, for which mmengine has no way of its own."""

from __future__ import annotations

import os
from collections.abc import MutableMapping, MutableSequence
from typing import Any

import torch

from .errors import CompatError


def launched_by() -> str:
    """The launcher that started this process, by its environment: pytorch (torchrun) or none.

    SLURM is not guessed: a script without srun has SLURM's variables too.
    """
    return "pytorch" if {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= set(os.environ) else "none"


def init_distributed(cfg: Any, launcher: str) -> None:
    """Prepare `cfg` and the process group for a run over several processes without a GPU; with CUDA change nothing.

    mmengine sets up CUDA devices whatever the backend. A gloo group that exists before the Runner is built is used
    as it is, and a wrapper without device ids keeps DDP on the CPU.

    Args:
        cfg: a mapping, such as mmengine's Config; changed in place.

    Raises:
        CompatError: the launcher's environment variables are missing, or SLURM was asked for on a CPU.
    """
    if launcher == "none" or torch.cuda.is_available():
        return
    if launcher != "pytorch":
        raise CompatError(f"--launcher {launcher} needs GPUs; on CPUs start with torchrun")
    missing = [name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR") if name not in os.environ]
    if missing:
        raise CompatError(
            f"--launcher pytorch was given but {', '.join(missing)} is not set: "
            "start with `torchrun --nproc_per_node=2 tools/train.py ...`"
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
