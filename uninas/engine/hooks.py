"""What happens beside the training loop: seeds that a resumed run repeats, and a stop when a run has diverged."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce_params, get_rank
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import FUNCTIONS, HOOKS
from torch.nn.modules.batchnorm import _BatchNorm

from .errors import EngineError


def seed_everything(*parts: int) -> None:
    """Seed python's, numpy's and torch's global generators from all the parts together."""
    state = np.random.SeedSequence(parts).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))
    torch.manual_seed(int(state[2]))


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Every epoch starts from a seed of its own: the run's seed, the epoch's number and the process.

    Then nothing that happened before an epoch (a validation, a crash, a restart) changes the numbers drawn in it,
    and a run resumed from a checkpoint goes on exactly as an uninterrupted one.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner) -> None:
        seed_everything(runner.seed, runner.epoch, get_rank())


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a run whose loss is no number any more, before it goes on to overwrite good checkpoints."""

    priority = "VERY_HIGH"

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        loss = float(outputs["loss"].detach())
        if not math.isfinite(loss):
            raise EngineError(
                f"iteration {runner.iter + 1} (epoch {runner.epoch + 1}): the loss is {loss}, so the run stops. Lower "
                "optimizer.lr, raise schedule.warmup_epochs or set optimizer.clip_grad; the last checkpoint is kept"
            )


@HOOKS.register_module()
class ShareBuffersHook(Hook):
    """Averages the batch norms' statistics over processes after every epoch, in the network and its moving average.

    All processes then validate with what is saved. (mmengine's SyncBuffersHook does not see the moving average, and
    takes other buffers too, of which processes that saw images of other sizes may have different ones.)
    """

    def after_train_epoch(self, runner) -> None:
        averages = [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]
        for model in (runner.model, *averages):
            norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
            all_reduce_params([b for m in norms for b in (m.running_mean, m.running_var)], op="mean")


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seeds a loading process from torch's seed for it, which differs between workers and between epochs.

    mmengine's default gives a worker the same seed in every epoch, and with it the same augmentations.
    """
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
