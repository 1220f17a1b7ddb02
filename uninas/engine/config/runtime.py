"""The parts of a config that all tasks share: optimiser, schedule, loops, hooks, logging."""

from __future__ import annotations

from typing import Any

import torch

from ..settings import Protocol

CUSTOM_IMPORTS = {"imports": ["uninas.engine.registered"], "allow_failed_imports": False}


def runtime(protocol: Protocol, processes: int, best: str) -> dict[str, Any]:
    """Everything but model and data.

    Args:
        best: the metric by which the best checkpoint is chosen; larger is better.
    """
    rates = protocol.learning_rates(processes)
    custom_hooks: list[dict[str, Any]] = [{"type": "EpochSeedHook"}, {"type": "FiniteLossHook"}]
    if protocol.ema:
        ema = {"ema_type": "ExponentialMovingAverage", "momentum": float(f"{1 - protocol.ema:.10g}")}
        custom_hooks.append({"type": "EMAHook", "update_buffers": True, **ema})
    cfg: dict[str, Any] = {
        "custom_imports": CUSTOM_IMPORTS,
        "optim_wrapper": optim_wrapper(protocol, rates),
        "param_scheduler": schedule(protocol, rates),
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
        "custom_hooks": custom_hooks,
        "log_processor": {"type": "LogProcessor", "window_size": protocol.log_every, "by_epoch": True},
        "randomness": {"seed": protocol.seed, "deterministic": protocol.deterministic},
        "env_cfg": {
            "cudnn_benchmark": False,
            "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
            "dist_cfg": {"backend": "nccl"},
        },
        "log_level": "INFO",
        "load_from": None,
        "resume": False,
    }
    if protocol.sync_bn and torch.cuda.is_available():
        cfg["sync_bn"] = "torch"
    return cfg


def optim_wrapper(protocol: Protocol, rates: dict[str, float]) -> dict[str, Any]:
    """The optimiser, and what surrounds a step of it."""
    settings = protocol.optimizer
    optimizer: dict[str, Any] = {"type": settings.kind, "lr": rates["lr"], "weight_decay": settings.weight_decay}
    if settings.kind == "SGD":
        optimizer["momentum"] = settings.momentum
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
        use_amp(cfg)
    return cfg


def use_amp(wrapper: dict[str, Any]) -> None:
    """Turn an optimiser wrapper's config into one with mixed precision, for the hardware that is here."""
    if torch.cuda.is_available():
        wrapper.update(type="AmpOptimWrapper", loss_scale="dynamic")
    else:
        wrapper.update(type="CpuAmpOptimWrapper")


def schedule(protocol: Protocol, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Learning rates over the epochs, changed at every iteration: a linear warm-up, then the protocol's kind."""
    plan = protocol.schedule
    warmup, epochs = plan.warmup_epochs, plan.epochs
    parts: list[dict[str, Any]] = []
    if warmup:
        parts.append(
            {
                "type": "LinearLR",
                # mmengine refuses to start at exactly nothing.
                "start_factor": max(float(f"{rates['warmup_lr'] / rates['lr']:.12g}"), 1e-9),
                "by_epoch": True,
                "begin": 0,
                "end": warmup,
                "convert_to_iter_based": True,
            }
        )
    span = {"by_epoch": True, "begin": warmup, "end": epochs}
    if plan.kind == "cosine":
        cosine = {"type": "CosineAnnealingLR", "T_max": epochs - warmup, "eta_min": rates["min_lr"]}
        parts.append({**cosine, **span, "convert_to_iter_based": True})
    elif plan.kind == "linear":
        linear = {"type": "PolyLR", "power": 1.0, "eta_min": rates["min_lr"]}
        parts.append({**linear, **span, "convert_to_iter_based": True})
    elif plan.kind == "multistep":
        gamma = (rates["min_lr"] / rates["lr"]) ** (1 / len(plan.milestones))
        # From epoch 0 although the warm-up comes first: mmengine counts milestones from a scheduler's own beginning.
        parts.append({"type": "MultiStepLR", "milestones": list(plan.milestones), "gamma": gamma, "by_epoch": True})
    return parts


def loader(batch_size: int, workers: int, dataset: dict[str, Any], shuffle: bool) -> dict[str, Any]:
    """A data loader whose loading processes start anew every epoch, each with a seed of its own."""
    return {
        "batch_size": batch_size,
        "num_workers": workers,
        "persistent_workers": False,
        "drop_last": shuffle,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "worker_init_fn": {"type": "seed_worker"},
        "dataset": dataset,
    }
