"""Changes on the command line of training, in the spellings of OpenMMLab's users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..errors import UninasError

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the protocol, e.g. schedule.epochs=3.")
]
CfgOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Change the mmengine config, e.g. train_dataloader.batch_size=8."),
]


class UsageError(UninasError):
    """An option that cannot be understood."""

    exit_code = 2


def spread(arguments: Sequence[str], options: Sequence[str] = ("--cfg-options", "--set")) -> list[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`; what follows `mm` belongs to OpenMMLab's tools and stays."""
    if arguments[:1] == ["mm"]:
        return list(arguments)
    spread_out: list[str] = []
    current, alone = "", False
    for word in arguments:
        if current and not word.startswith("-") and ("=" in word or alone):  # what comes first is its value at any rate
            spread_out += [current, word]
            alone = False
            continue
        if alone:
            spread_out.append(current)
        current = word if word in options else ""
        alone = bool(current)
        if not current:
            spread_out.append(word)
    return [*spread_out, current] if alone else spread_out


def merge_options(cfg: Any, options: Sequence[str] | None) -> None:
    """Apply mmengine's `--cfg-options` to a Config, in place.

    Raises:
        UsageError: an option without `=`, or a key that does not fit the config.
    """
    from argparse import ArgumentParser

    from mmengine.config import DictAction

    for option in options or ():
        if "=" not in option.lstrip("="):
            raise UsageError(f"--cfg-options {option!r}: write key=value, such as train_dataloader.batch_size=8")
    if options:
        parser = ArgumentParser()
        parser.add_argument("--cfg-options", nargs="+", action=DictAction)
        try:
            cfg.merge_from_dict(parser.parse_args(["--cfg-options", *options]).cfg_options)
        except (KeyError, TypeError, AttributeError) as problem:
            raise UsageError(f"--cfg-options {' '.join(options)}: {problem}") from None
