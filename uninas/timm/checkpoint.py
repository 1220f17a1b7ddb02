"""Folders that `timm.create_model("local-dir:FOLDER")` reads: config.json with the genotype, and the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from safetensors.torch import save_file
from timm.models._hub import save_config_for_hf
from torch import nn

from ..compiler import Network
from ..errors import UninasError
from ..files import make_folder, replacing
from .model import TimmNetwork

CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""File names that timm looks for."""


class TimmError(UninasError):
    """A model that timm cannot be handed, or a place that it cannot be written to."""


def save_for_timm(
    model: nn.Module, directory: str | Path, pretrained_cfg: Mapping[str, Any] | None = None, force: bool = False
) -> Path:
    """Writes a folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` reads; `import uninas.timm` first.

    The genotype itself stands in config.json, so the folder needs no other file. Pushed to the Hugging Face hub as it
    is, `hf-hub:OWNER/NAME` reads it too.

    Args:
        model: of `timm.create_model("uninas", ...)` or `uninas.build(...)`, with its head.
        pretrained_cfg: timm's facts on the weights, such as mean, std, input_size, label_names.
        force: replace the files of an earlier save.

    Raises:
        TimmError: the folder has such files already or cannot be written to, or the model is another.
    """
    model = _as_timm(model)
    directory = Path(directory)
    there = [name for name in (CONFIG, WEIGHTS) if (directory / name).exists()]
    if there and not force:
        raise TimmError(f"{directory}: has {there[0]} already: choose another folder, or force=True to replace it")
    make_folder(directory, TimmError, "choose another folder")
    with replacing(directory / CONFIG, TimmError) as place, replacing(directory / WEIGHTS, TimmError) as weights:
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights)
        # timm keeps what create_model was given: a path or an object, which would not travel
        model._model_args = {"seed": model.seed}  # type: ignore[assignment]
        config = {"architecture": "uninas", "pretrained_cfg": {**(pretrained_cfg or {})}}
        args = {"genotype": model.genotype.to_dict(), "in_chans": model.in_chans, "global_pool": model.global_pool}
        path: Any = place  # timm 1.0.9 wants a Path where a later one says str
        save_config_for_hf(model, path, model_config=config, model_args=args)
    return directory


def _as_timm(model: nn.Module) -> TimmNetwork:
    if isinstance(model, TimmNetwork):
        if len(model.stages) == len(model.genotype.stages):
            return model
    elif isinstance(model, Network) and model.head is not None:
        settings: dict[str, Any] = {"num_classes": model.num_classes, "in_chans": model.in_chans}
        made: Any = timm.create_model("uninas", genotype=model.genotype, **settings)
        made.load_state_dict(model.state_dict())
        return made
    raise TimmError(
        f"a {type(model).__name__} cannot be saved: give a whole network of timm.create_model('uninas', ...) or "
        "uninas.build(...), one with its head"
    )
