"""The parts of a config that all tasks share: optimiser, schedule, loops, hooks, logging.

Nothing here looks at the machine: the same protocol gives the same config everywhere, and what a machine has (a GPU,
several processes) is decided when the run starts.
"""

from __future__ import annotations

from typing import Any

from ..settings import Data, Protocol, Schedule

CUSTOM_IMPORTS = {"imports": ["uninas.engine.registered"], "allow_failed_imports": False}
DTYPES = {"bf16": "bfloat16", "fp16": "float16"}
LOGGERS = {"tensorboard": "TensorboardVisBackend", "wandb": "WandbVisBackend"}


def runtime(protocol: Protocol, processes: int, best: str, visualizer: str) -> dict[str, Any]:
    """Everything but model and data.

    Args:
        processes: for which the learning rates are written. A run with another number scales them by itself, as
            `auto_scale_lr` tells mmengine to.
        best: the metric by which the best checkpoint is chosen; larger is better.
        visualizer: the type of mmengine's, mmdet's or mmseg's visualizer.
    """
    cfg: dict[str, Any] = {
        "custom_imports": CUSTOM_IMPORTS,
        "optim_wrapper": optim_wrapper(protocol, protocol.learning_rates(processes)["lr"]),
        "auto_scale_lr": {"enable": True, "base_batch_size": processes * protocol.batch_size},
        "param_scheduler": schedule(protocol.schedule, protocol.optimizer.lr),
        "train_cfg": {
            "type": "EpochBasedTrainLoop",
            "max_epochs": protocol.schedule.epochs,
            "val_interval": protocol.val_every,
        },
        "val_cfg": {"type": "ValLoop"},
        "test_cfg": {"type": "TestLoop"},
        "default_hooks": {
            "timer": {"type": "IterTimerHook"},
            "logger": {"type": "LoggerHook", "interval": protocol.log_every},
            "param_scheduler": {"type": "ParamSchedulerHook"},
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": 1,
                "max_keep_ckpts": protocol.keep_checkpoints,
                "save_best": best,
                "rule": "greater",
            },
            "sampler_seed": {"type": "DistSamplerSeedHook"},
        },
        "custom_hooks": custom_hooks(protocol),
        "log_processor": {"type": "LogProcessor", "window_size": protocol.log_every, "by_epoch": True},
        "visualizer": {
            "type": visualizer,
            "name": "visualizer",
            "vis_backends": [{"type": kind} for kind in ("LocalVisBackend", *(LOGGERS[k] for k in protocol.loggers))],
        },
        "randomness": {"seed": protocol.seed, "deterministic": protocol.deterministic},
        "env_cfg": {
            "cudnn_benchmark": protocol.cudnn_benchmark,
            "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
            "dist_cfg": {"backend": "nccl"},
        },
        "log_level": "INFO",
        "load_from": None,
        "resume": False,
    }
    if protocol.norm == "sync":
        cfg["sync_bn"] = "torch"
    return cfg


def custom_hooks(protocol: Protocol) -> list[dict[str, Any]]:
    """Seeds, the stop of a diverged run, batch-norm statistics that all processes share, averaged weights."""
    hooks: list[dict[str, Any]] = [{"type": "EpochSeedHook"}, {"type": "FiniteLossHook"}, {"type": "ShareBuffersHook"}]
    if protocol.ema:
        # Averaging counts steps of the optimiser, not batches: `steps` of mmengine's averages counts the latter.
        batches = protocol.optimizer.accumulate
        kind: dict[str, Any] = {"ema_type": "ExponentialMovingAverage"}
        if protocol.ema_warmup:
            kind = {"ema_type": "MomentumAnnealingEMA", "gamma": protocol.ema_warmup * batches}
        momentum = float(f"{1 - protocol.ema:.10g}")
        hooks.append({"type": "EMAHook", **kind, "momentum": momentum, "interval": batches, "update_buffers": True})
    return hooks


def optim_wrapper(protocol: Protocol, lr: float) -> dict[str, Any]:
    """The optimiser, and what surrounds a step of it."""
    settings = protocol.optimizer
    optimizer: dict[str, Any] = {"type": settings.kind, "lr": lr, "weight_decay": settings.weight_decay}
    if settings.kind == "SGD":
        optimizer["momentum"] = settings.momentum
    else:
        optimizer |= {"betas": settings.betas} | ({"eps": settings.eps} if settings.eps else {})
    cfg: dict[str, Any] = {
        "type": "OptimWrapper",
        "optimizer": optimizer,
        "constructor": "UniNASOptimWrapperConstructor",
        "paramwise_cfg": {"layer_decay": settings.layer_decay},
        "accumulative_counts": settings.accumulate,
    }
    if settings.clip_grad is not None:
        cfg["clip_grad"] = {"max_norm": settings.clip_grad}
    if protocol.amp:
        use_amp(cfg, protocol.amp)
    return cfg


def use_amp(wrapper: dict[str, Any], kind: str = "fp16") -> None:
    """Turn an optimiser wrapper's config into one with mixed precision, `bf16` or `fp16`."""
    wrapper.update(type="MixedPrecisionOptimWrapper", dtype=DTYPES[kind])


def schedule(plan: Schedule, lr: float) -> list[dict[str, Any]]:
    """Learning rates over the epochs, changed at every iteration: a linear warm-up, then the protocol's kind.

    All numbers are shares of the rate `lr` (of one process, as those of the plan), so that they hold for any number
    of processes.
    """
    warmup, epochs = plan.warmup_epochs, plan.epochs
    lowest = float(f"{plan.min_lr / lr:.12g}")
    parts: list[dict[str, Any]] = []
    if warmup:
        # mmengine refuses to start at exactly nothing.
        factor = max(float(f"{plan.warmup_lr / lr:.12g}"), 1e-9)
        span = {"by_epoch": True, "begin": 0, "end": warmup, "convert_to_iter_based": True}
        parts.append({"type": "LinearLR", "start_factor": factor, **span})
    span = {"by_epoch": True, "begin": warmup, "end": epochs, "convert_to_iter_based": True}
    if plan.kind == "cosine":
        parts.append({"type": "CosineAnnealingLR", "T_max": epochs - warmup, "eta_min_ratio": lowest, **span})
    elif plan.kind == "linear":
        parts.append({"type": "LinearLR", "start_factor": 1.0, "end_factor": lowest, **span})
    elif plan.kind == "multistep":
        gamma = plan.gamma or lowest ** (1 / len(plan.milestones))
        # A drop that would end below the minimum is left out.
        drops = [epoch for k, epoch in enumerate(plan.milestones, 1) if gamma**k >= lowest * (1 - 1e-9)]
        # From epoch 0 although the warm-up comes first: mmengine counts milestones from a scheduler's own beginning.
        parts.append({"type": "MultiStepLR", "milestones": drops, "gamma": gamma, "by_epoch": True})
    return parts


def loader(batch_size: int, data: Data, dataset: dict[str, Any], shuffle: bool) -> dict[str, Any]:
    """A data loader; unless they are persistent, loading processes start anew every epoch, each with its own seed."""
    return {
        "batch_size": batch_size,
        "num_workers": data.workers,
        "persistent_workers": data.persistent_workers and data.workers > 0,
        "pin_memory": data.pin_memory,
        "drop_last": shuffle,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "worker_init_fn": {"type": "seed_worker"},
        "dataset": dataset,
    }
