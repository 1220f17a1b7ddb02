"""Command-line options of training that OpenMMLab's users write in their own way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .errors import EngineError


def spread(arguments: Sequence[str], options: Sequence[str] = ("--cfg-options", "--set")) -> list[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`."""
    spread_out: list[str] = []
    current = ""
    for word in arguments:
        if current and "=" in word and not word.startswith("-"):
            spread_out += [current, word]
            continue
        current = word if word in options else ""
        if not current:
            spread_out.append(word)
    return spread_out


def merge_options(cfg: Any, options: Sequence[str] | None) -> None:
    """Apply mmengine's `--cfg-options` to a Config, in place.

    Raises:
        EngineError: an option without `=`, or a key that does not fit the config.
    """
    if not options:
        return
    from mmengine.config import DictAction

    pairs: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise EngineError(f"--cfg-options {option!r}: write key=value, such as train_dataloader.batch_size=8")
        pairs[key] = DictAction._parse_iterable(value)
    try:
        cfg.merge_from_dict(pairs)
    except (KeyError, TypeError, AttributeError) as problem:
        raise EngineError(f"--cfg-options {' '.join(options)}: {problem}") from None


def rank() -> int:
    """The number of this process among those that the launcher started, known before any group is set up."""
    value = os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or "0"
    return int(value) if value.isdigit() else 0
