"""Runs a training config: processes, precision, resuming, and errors in the user's words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UninasError
from ..mm_compat.distributed import init_distributed, launched_by
from ..mm_compat.measures import is_worth_logging
from .config.runtime import LOGGERS, use_amp
from .errors import DataError, EngineError
from .memory import keep_freed_memory
from .weights import read_checkpoint

Result = TypeVar("Result")
LAUNCHERS = ("none", "pytorch", "slurm")


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    work_dir: Path
    checkpoint: Path
    """The last one."""
    best: Path | None
    """The best one by the protocol's metric, once there was a validation."""
    metrics: dict[str, float]
    """Of the last validation."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    def lines(self) -> list[str]:
        """For people."""
        metrics = "  ".join(f"{key} {value:.4g}" for key, value in self.metrics.items())
        return [
            f"last checkpoint: {self.checkpoint}",
            *([f"best checkpoint: {self.best}"] if self.best else []),
            *([f"last validation: {metrics}"] if metrics else []),
        ]


def rank() -> int:
    """The number of this process among those that the launcher started, known before any group is set up."""
    value = os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0"
    return int(value) if value.isdigit() else 0


def processes_of(launcher: str) -> int:
    """The number of training processes that the launcher started.

    Raises:
        EngineError: unknown launcher, its environment variables are missing or wrong, or there are several processes
            and the launcher is said to be none.
    """
    if launcher not in LAUNCHERS:
        raise EngineError(f"--launcher: there is no {launcher!r}; choose from: {', '.join(LAUNCHERS)}")
    if launcher == "none":
        if launched_by() == "pytorch" and os.environ["WORLD_SIZE"] != "1":
            raise EngineError(
                f"torchrun started {os.environ['WORLD_SIZE']} processes, and with --launcher none each would train "
                "alone into the same folder: leave --launcher out, or give --launcher pytorch"
            )
        return 1
    name, start = ("WORLD_SIZE", "torchrun") if launcher == "pytorch" else ("SLURM_NTASKS", "srun")
    value = os.environ.get(name, "")
    if not value.isdigit() or int(value) < 1:
        raise EngineError(f"--launcher {launcher}: {name} is {value or 'not set'!r}; start the script with {start}")
    return int(value)


def train_config(cfg: Config, resume: bool = False, launcher: str = "none", amp: bool = False) -> Outcome:
    """Train as the config says. Without a GPU, this process keeps freed memory from then on (see memory.py).

    Args:
        resume: continue from the newest checkpoint of the work directory that is whole; without one, start anew.
        launcher: one of LAUNCHERS.
        amp: mixed precision, also where the protocol does not ask for it.

    Raises:
        EngineError: something does not fit together; DataError: a broken image.
    """
    if not torch.cuda.is_available():
        keep_freed_memory()
    if amp and cfg.optim_wrapper.type == "OptimWrapper":
        use_amp(cfg.optim_wrapper)
    work_dir = Path(cfg.work_dir)
    found = newest_checkpoint(work_dir)
    if resume and found is not None:
        check_same_network(cfg, found)
        cfg.resume, cfg.load_from = True, str(found)
    elif found is not None:
        raise EngineError(
            f"{work_dir}: holds the checkpoint {found.name} of an earlier run: give --resume to continue "
            "it, or another --out"
        )

    def train(runner: Runner) -> dict[str, float]:
        if not cfg.get("load_from"):
            check_statistics(runner.model)
        runner.train()
        return _last_metrics(runner)

    metrics = run_config(cfg, launcher, train)
    last = newest_checkpoint(work_dir)
    if last is None:
        raise EngineError(f"{work_dir}: training ended without a checkpoint; is default_hooks.checkpoint turned off?")
    return Outcome(work_dir, last, _best(work_dir), metrics)


def run_config(cfg: Config, launcher: str | None, act: Callable[[Runner], Result]) -> Result:
    """What `act` returns, given the Runner of a config, set up for the processes and the machine that there are.

    Args:
        launcher: one of LAUNCHERS; None finds out.

    Raises:
        EngineError: something does not fit together; DataError: a broken image.
    """
    cfg.launcher = launcher or launched_by()
    processes_of(cfg.launcher)
    deterministic = bool(cfg.randomness.get("deterministic"))
    if deterministic:
        # cuBLAS is deterministic only with a workspace of fixed size.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    used = [backend["type"] for backend in cfg.visualizer.get("vis_backends") or ()]
    for package, backend in LOGGERS.items():
        if backend in used and find_spec(package) is None:
            raise EngineError(f"loggers: {package} is not installed: pip install {package}")
    import_modules_from_strings(**cfg.custom_imports)
    init_distributed(cfg, cfg.launcher)
    try:
        with _determinism_restored():
            # mmengine names a run by the second it starts in, and two of one name share their loggers and visualisers.
            name = cfg.setdefault("experiment_name", f"uninas_{time.time_ns()}")
            if cfg.get("visualizer"):
                cfg.visualizer.name = name
            runner = QuietRunner.from_cfg(cfg)
            if deterministic:
                # Where torch has no such algorithm, as for some gradients on a GPU, a warning; mmengine wants an error.
                torch.use_deterministic_algorithms(True, warn_only=True)
            return act(runner)
    except UninasError as problem:
        raise type(problem)(_own_message(problem)) from None
    except AssertionError as problem:
        # What mmcv says of an image that it cannot decode.
        if "failed to load image" in str(problem):
            raise DataError(str(problem).strip().splitlines()[-1].removeprefix("AssertionError: ")) from problem
        raise
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


class QuietRunner(Runner):
    """mmengine's Runner, without the warnings that every run would log and nobody can act on."""

    def build_logger(self, *arguments: Any, **settings: Any) -> Any:
        logger = super().build_logger(*arguments, **settings)
        logger.addFilter(is_worth_logging)
        return logger


@contextmanager
def _determinism_restored() -> Iterator[None]:
    """Torch's choice of algorithms is afterwards what it was before; mmengine leaves its own behind."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn


def newest_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint of the latest epoch that can be read; a process may have died while writing the last one."""
    numbered = [(int(p.stem.removeprefix("epoch_")), p) for p in work_dir.glob("epoch_*.pth") if p.stem[6:].isdigit()]
    for _, path in sorted(numbered, reverse=True):
        try:
            read_checkpoint(path)
        except EngineError:
            continue
        return path
    return None


def check_same_network(cfg: Config, checkpoint: Path) -> None:
    """Refuse to continue the training of another genotype.

    Raises:
        EngineError: with both names.
    """
    meta = read_checkpoint(checkpoint)["meta"]
    before = Config.fromstring(meta["cfg"], ".py").get("uninas") if isinstance(meta.get("cfg"), str) else None
    now = cfg.get("uninas")
    if before and now and before["genotype"]["key"] != now["genotype"]["key"]:
        names = [f"{side['genotype']['name'] or 'unnamed'} ({side['genotype']['key'][:12]})" for side in (before, now)]
        raise EngineError(
            f"{checkpoint}: was trained from the genotype {names[0]}, and --resume was asked for {names[1]}: "
            "give the first genotype, or another --out"
        )


def check_statistics(model: Any) -> None:
    """Refuse batch norms that keep their statistics where no checkpoint gives them any.

    Raises:
        EngineError: they would pass everything through unchanged.
    """
    backbone = getattr(model, "module", model).backbone
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
    if norms and getattr(backbone, "norm_eval", False) and not backbone.pretrained:
        raise EngineError(
            f"norm is eval: {len(norms)} batch norms keep the statistics of a checkpoint, and there is none. Give "
            "--pretrained, or --set norm=sync (norm=train for one process)"
        )


def _own_message(problem: UninasError) -> str:
    """The last line of what a loading process reports is the message; before it comes that process's traceback."""
    text = str(problem)
    if text.startswith("Caught "):
        text = text.strip().splitlines()[-1].partition(": ")[2]
    return text


def _best(work_dir: Path) -> Path | None:
    found = sorted(work_dir.glob("best_*.pth"), key=lambda p: p.stat().st_mtime)
    return found[-1] if found else None


def _last_metrics(runner: Runner) -> dict[str, float]:
    scalars: Mapping[str, Any] = runner.message_hub.log_scalars
    return {
        key.removeprefix("val/"): float(buffer.current())
        for key, buffer in scalars.items()
        if key.startswith("val/") and not key.endswith(("time", "data_time"))
    }
